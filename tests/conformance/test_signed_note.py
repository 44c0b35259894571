"""Signed notes by keys and notes that others published."""

from __future__ import annotations

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import note

FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
"""The example key of https://c2sp.org/signed-note."""
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PROBLEM = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""Key and note of the documentation of https://pkg.go.dev/golang.org/x/mod/sumdb/note (read 2026-11-22)."""
COSIGNED = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
"""The example of https://c2sp.org/tlog-cosignature."""


@pytest.mark.parametrize("text", [FOO, NEUMANN])
def test_a_published_key_is_read_when_its_id_is_its_own(text: str) -> None:
    key = note.parse_vkey(text)

    assert (key.text, key.algorithm, key.id.hex()) == (text, note.LOG, text.split("+")[1])


def test_a_published_note_verifies_when_its_key_is_known() -> None:
    read = note.parse_note(PROBLEM.encode())

    assert read.check([note.parse_vkey(FOO), note.parse_vkey(NEUMANN)]) == {note.parse_vkey(NEUMANN)}
    assert read.check([note.parse_vkey(FOO)]) == frozenset()
    assert str(read) == PROBLEM


def test_a_published_note_is_refused_when_a_letter_of_it_is_another() -> None:
    read = note.parse_note(PROBLEM.replace("answer", "answet").encode())

    with pytest.raises(AuditBroken):
        read.check([note.parse_vkey(NEUMANN)])


def test_a_published_checkpoint_is_read_when_a_witness_cosigned_it() -> None:
    read = note.parse_note(COSIGNED.encode())
    checkpoint = note.parse_checkpoint(read.text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == read.text
    assert [s.name for s in read.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert int.from_bytes(read.signatures[1].signature[:8], "big") == 1_679_315_147
    assert str(read) == COSIGNED
