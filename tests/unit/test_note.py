from __future__ import annotations

import base64

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle, note, proofs
from chalicelib.core.log.note import Checkpoint, RemoteSigner, Signature, VerifierKey
from tests.fixtures.audit.signers import seeded

ORIGIN = "audit.waybill.example/eu-central-1/tnt_x/2026"
ROOT = merkle.leaf_hash(b"x")
LOG = seeded(ORIGIN, bytes(range(32)))
OTHER = seeded("audit.other.example", bytes(32))
WITNESS = seeded("witness.example/w1", b"w" * 32)
KEY, OTHER_KEY = note.parse_vkey(LOG.vkey), note.parse_vkey(OTHER.vkey)
WITNESS_KEY = VerifierKey(WITNESS.vkey.split("+")[0], note.parse_vkey(WITNESS.vkey).public, note.WITNESS)
TEXT = Checkpoint(ORIGIN, 7, ROOT).text
NOTE = note.sign_note(TEXT, [LOG])


def cosignature(time: int = 1_790_000_000, text: str = TEXT) -> Signature:
    signed = WITNESS.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    return Signature(WITNESS_KEY.name, WITNESS_KEY.id, time.to_bytes(8, "big") + signed)


def noted(*signatures: Signature, text: str = TEXT) -> note.Note:
    return note.parse_note(str(note.Note(text, signatures)).encode())


# Keys


def test_a_key_comes_back_when_it_was_written() -> None:
    for key in (KEY, WITNESS_KEY):
        assert note.parse_vkey(key.text) == key
    assert KEY.id != VerifierKey(KEY.name, KEY.public, note.WITNESS).id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        KEY.text.replace(ORIGIN, ORIGIN + "x"),
        KEY.text.replace(ORIGIN, ""),
        KEY.text.replace(ORIGIN, "a b"),
        KEY.text.replace(KEY.id.hex(), KEY.id.hex().upper()),
        KEY.text.replace(KEY.id.hex(), "0" + KEY.id.hex()),
        KEY.text[:-1],
        KEY.text + "\n",
        f"{ORIGIN}+{KEY.id.hex()}+" + base64.b64encode(b"\x02" + KEY.public).decode(),
        f"{ORIGIN}+{KEY.id.hex()}+" + base64.b64encode(b"\x01" + KEY.public[1:]).decode(),
        f"{ORIGIN}+{KEY.id.hex()}+",
    ],
)
def test_a_key_is_refused_when_its_form_or_id_is_wrong(text: str) -> None:
    with pytest.raises(AuditBroken):
        note.parse_vkey(text)


# Signers


def test_a_remote_signature_is_the_same_when_the_key_is() -> None:
    remote = RemoteSigner(ORIGIN, KEY.public, LOG.sign)

    assert remote.vkey == LOG.vkey
    assert note.sign_note(TEXT, [remote]) == NOTE


def test_nothing_is_given_away_when_a_signer_signs_with_another_key() -> None:
    with pytest.raises(AuditBroken):
        note.sign_note(TEXT, [RemoteSigner(ORIGIN, KEY.public, OTHER.sign)])


@pytest.mark.parametrize("text", ["", "no end", "a\tb\n", "a\r\n", "\x00\n"])
def test_a_text_is_not_signed_when_it_cannot_be_a_notes(text: str) -> None:
    with pytest.raises(AuditBroken):
        note.sign_note(text, [LOG])


def test_a_text_is_not_signed_when_nobody_signs_it() -> None:
    with pytest.raises(AuditBroken):
        note.sign_note(TEXT, [])


# Notes


def test_a_note_verifies_when_two_known_keys_signed_it() -> None:
    both = note.sign_note(TEXT, [LOG, OTHER])

    read = note.parse_note(str(both).encode())

    assert read == both
    assert read.check([KEY, OTHER_KEY]) == {KEY, OTHER_KEY}
    assert read.check([KEY]) == {KEY}


def test_a_note_verifies_when_there_are_sixteen_unknown_signatures_or_sixty_three() -> None:
    unknown = [Signature(f"somebody.example/{n}", bytes([n] * 4), bytes(n + 1)) for n in range(63)]

    for some in (unknown[:16], unknown):
        assert noted(*some, *NOTE.signatures).check([KEY]) == {KEY}


def test_a_signature_is_unknown_when_only_name_or_id_is_known() -> None:
    bad = bytes(64)

    read = noted(Signature(ORIGIN, OTHER_KEY.id, bad), Signature("x", KEY.id, bad), *NOTE.signatures)

    assert read.check([KEY]) == {KEY}


@pytest.mark.parametrize("bad", [bytes(64), NOTE.signatures[0].signature[:-1], NOTE.signatures[0].signature + b"\0"])
def test_a_note_is_refused_when_a_known_keys_signature_is_bad_beside_a_good_one(bad: bytes) -> None:
    for order in (
        (Signature(ORIGIN, KEY.id, bad), *NOTE.signatures),
        (*NOTE.signatures, Signature(ORIGIN, KEY.id, bad)),
    ):
        with pytest.raises(AuditBroken):
            noted(*order).check([KEY])


def test_a_note_is_refused_when_its_text_was_changed() -> None:
    with pytest.raises(AuditBroken):
        noted(*NOTE.signatures, text=Checkpoint(ORIGIN, 8, ROOT).text).check([KEY])


def test_a_cosignature_verifies_when_time_and_text_are_what_the_witness_signed() -> None:
    assert noted(*NOTE.signatures, cosignature()).check([KEY, WITNESS_KEY]) == {KEY, WITNESS_KEY}


@pytest.mark.parametrize(
    "bad",
    [
        Signature(WITNESS_KEY.name, WITNESS_KEY.id, (1).to_bytes(8, "big") + cosignature(2).signature[8:]),
        Signature(WITNESS_KEY.name, WITNESS_KEY.id, bytes(8) + WITNESS.sign(TEXT.encode())),
        Signature(WITNESS_KEY.name, WITNESS_KEY.id, WITNESS.sign(TEXT.encode())),
        cosignature(2**63),
        cosignature(text=TEXT + "x\n"),
    ],
)
def test_a_cosignature_is_refused_when_it_is_over_something_else(bad: Signature) -> None:
    with pytest.raises(AuditBroken):
        noted(*NOTE.signatures, bad).check([KEY, WITNESS_KEY])


GOOD = str(NOTE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        TEXT.encode(),
        TEXT.encode() + b"\n",
        b"\n\n" + GOOD.partition("\n\n")[2].encode(),
        GOOD.encode()[:-1],
        GOOD.encode() + b"\n",
        GOOD.encode() + b" ",
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("— ", "- ").encode(),
        GOOD.replace("— ", "—\u00a0").encode(),
        GOOD.replace("— ", "—  ").encode(),
        GOOD.encode("utf-16"),
        GOOD.encode() + b"\xff",
        GOOD.replace("7", "7\t", 1).encode(),
        GOOD.replace("=\n", "\n").encode(),
        GOOD.replace("\n\n", "\n\nextra\n").encode(),
        (TEXT + "\n— name AAAA\n").encode(),
        (TEXT + "\n— name AAAAAA==\n").encode(),
        (TEXT + "\n— name AAAAAAAB\n— na+me AAAAAAAB\n").encode(),
        (TEXT + "\n— AAAAAAAB\n").encode(),
        (TEXT + "\n" + "— name AAAAAAAB\n" * 65).encode(),
    ],
)
def test_a_note_is_refused_when_its_form_is_not_strict(data: bytes) -> None:
    with pytest.raises(AuditBroken):
        note.parse_note(data)


def test_base64_is_refused_when_bits_behind_its_end_are_set() -> None:
    assert note.from_base64("AAE=") == b"\x00\x01"
    for text in ("AAF=", "AAE", "AA E=", "AAE=\n", "AA-_", ""):
        with pytest.raises(AuditBroken):
            note.from_base64(text)


# Checkpoints


def test_a_checkpoint_comes_back_when_it_has_more_lines() -> None:
    for checkpoint in (
        Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT),
        Checkpoint(ORIGIN, 2**63 - 1, ROOT, ("more", "lines")),
    ):
        assert note.parse_checkpoint(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n7\n",
        f"{ORIGIN}\n7\n{note.to_base64(ROOT)}",
        f"{ORIGIN}\n07\n{note.to_base64(ROOT)}\n",
        f"{ORIGIN}\n-7\n{note.to_base64(ROOT)}\n",
        f"{ORIGIN}\n٧\n{note.to_base64(ROOT)}\n",
        f"{ORIGIN}\n{2**63}\n{note.to_base64(ROOT)}\n",
        f"{ORIGIN}\n\n{note.to_base64(ROOT)}\n",
        f"\n7\n{note.to_base64(ROOT)}\n",
        f"{ORIGIN}\n7\n{note.to_base64(ROOT[:31])}\n",
        f"{ORIGIN}\n7\n{note.to_base64(ROOT)}\n\nmore\n",
    ],
)
def test_a_checkpoint_is_refused_when_a_line_is_not_what_it_must_be(text: str) -> None:
    with pytest.raises(AuditBroken):
        note.parse_checkpoint(text)


# Proofs as texts


def test_a_proof_comes_back_when_it_was_written() -> None:
    hashes = (ROOT, merkle.EMPTY_ROOT)

    for proof in (proofs.InclusionProof(5, hashes, NOTE), proofs.InclusionProof(0, (), NOTE, b"for a reader")):
        assert proofs.parse_inclusion(str(proof).encode()) == proof
    for kept in (proofs.ConsistencyProof(5, hashes, NOTE), proofs.ConsistencyProof(7, (), NOTE)):
        assert proofs.parse_consistency(str(kept).encode()) == kept
    assert str(proofs.InclusionProof(5, (), NOTE)) == f"c2sp.org/tlog-proof@v1\nindex 5\n\n{NOTE}"
    assert str(proofs.ConsistencyProof(5, (ROOT,), NOTE)) == f"old 5\n{note.to_base64(ROOT)}\n\n{NOTE}"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("@v1", "@v2"),
        ("index 5", "index 05"),
        ("index 5", "index"),
        ("index 5", "at 5"),
        ("index 5", "index 5\nextra AAAA"),
        ("index 5", "extra \nindex 5"),
        ("index 5", "index 5\nAAAA"),
        ("index 5", "index 5\n" + "\n".join([note.to_base64(ROOT)] * 64)),
        ("index 5", "índex 5"),
        ("index 5\n\n", "index 5\n"),
        ("— ", "- "),
    ],
)
def test_a_proof_is_refused_when_its_form_is_not_strict(was: str, becomes: str) -> None:
    text = str(proofs.InclusionProof(5, (), NOTE))
    assert was in text

    with pytest.raises(AuditBroken):
        proofs.parse_inclusion(text.replace(was, becomes, 1).encode())


@pytest.mark.parametrize("head", ["", "old", "old -1", "new 5", "old 5\nAAAA"])
def test_a_consistency_proof_is_refused_when_its_form_is_not_strict(head: str) -> None:
    with pytest.raises(AuditBroken):
        proofs.parse_consistency(f"{head}\n\n{NOTE}".encode())
