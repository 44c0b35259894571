"""The findings of both verifiers that turn on the reader's own arguments, and on the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.log import note
from chalicelib.core.log.note import Signature
from tests.fixtures.audit import make
from tests.fixtures.audit.make import AT
from tests.fixtures.audit.signers import seeded
from tests.support import bundles
from tests.support.bundles import SIZE, TREE, first_main, full, run, second, selected, signed

VERIFIERS = pytest.mark.parametrize("main", [first_main, second.main], ids=["ours", "second"])
Main = Callable[[list[str]], int]


def seen(tmp: Path, size: int, root: bytes | None = None, **given: Any) -> tuple[str, str]:
    path = tmp / "seen"
    path.write_text(str(make.checkpoint(root or TREE.root(size), size, **given)), encoding="utf-8")
    return "--seen", str(path)


@VERIFIERS
@pytest.mark.parametrize(
    ("size", "other_root", "selection", "code"),
    [
        (SIZE, False, False, 0), (SIZE, True, False, 1), (SIZE, True, True, 1), (4, False, False, 0), (4, True, False, 1),
        (4, False, True, 0), (4, True, True, 1), (7, False, False, 0), (7, True, False, 1), (7, False, True, 2),
        (SIZE + 1, True, False, 2), (SIZE + 1, True, True, 2),
    ],
)  # fmt: skip
def test_the_log_continues_what_was_seen_or_not(
    size: int, other_root: bool, selection: bool, code: int, main: Main, tmp_path: Path
) -> None:
    data = make.tar(selected() if selection else full())

    assert run(main, data, tmp_path, *seen(tmp_path, size, bytes(32) if other_root else None)) == code


@VERIFIERS
def test_what_was_seen_is_refused_when_it_is_of_another_log_or_unsigned(main: Main, tmp_path: Path) -> None:
    data = make.tar(full())

    assert run(main, data, tmp_path, *seen(tmp_path, 4, origin="audit.other.example")) == 1
    assert run(main, data, tmp_path, *seen(tmp_path, 4, signers=[make.OTHER])) == 1


@VERIFIERS
def test_a_quorum_is_reached_when_enough_known_witnesses_cosigned(main: Main, tmp_path: Path) -> None:
    found = full()
    text = note.parse_note(found["checkpoint"]).text
    both = make.tar(signed(found, make.cosigned(text, 0), make.cosigned(text, 1)))
    one = make.tar(signed(found, make.cosigned(text, 0), make.cosigned(text, 0, 1_772_600_000)))
    keys = [part for key in make.WITNESS_KEYS for part in ("--witness", key.text)]

    assert run(main, both, tmp_path, *keys, "--quorum", "2") == 0
    assert run(main, one, tmp_path, *keys, "--quorum", "1") == 0
    assert run(main, one, tmp_path, *keys, "--quorum", "2") == 2
    assert run(main, make.tar(found), tmp_path, *keys, "--quorum", "1") == 2


@VERIFIERS
def test_a_cosignature_is_bad_when_a_known_witness_did_not_make_it(main: Main, tmp_path: Path) -> None:
    key = make.WITNESS_KEYS[0]
    data = make.tar(signed(full(), Signature(key.name, key.id, bytes(72))))

    assert run(main, data, tmp_path, "--witness", key.text) == 1
    assert run(main, data, tmp_path) == 0


@VERIFIERS
def test_a_pinned_key_decides_when_the_bundle_brings_its_own(main: Main, tmp_path: Path) -> None:
    impostor = seeded(make.ORIGIN, b"i" * 32)
    assert run(main, make.tar(full()), tmp_path, "--vkey", impostor.vkey) == 1
    assert run(main, make.tar(full()), tmp_path, "--vkey", make.OTHER.vkey) == 1


@VERIFIERS
@pytest.mark.parametrize(
    "arguments",
    [
        ["--vkey", "no key"],
        ["--vkey", make.WITNESS_KEYS[0].text],
        ["--witness", make.SIGNER.vkey],
        ["--quorum", "1"],
        ["--quorum", "many"],
        ["--seen", "/nowhere"],
        ["--seen", __file__],
        ["--now", "today"],
        ["--unheard-of"],
    ],
)
def test_the_usage_is_wrong_when_an_argument_cannot_be_read(main: Main, arguments: list[str], tmp_path: Path) -> None:
    try:
        code: Any = run(main, make.tar(full()), tmp_path, *arguments)
    except SystemExit as end:
        code = end.code

    assert code == 64


@VERIFIERS
@pytest.mark.parametrize("arguments", [["{}/no\x9b\u202e.tar"], ["{}"], [__file__, "--seen", "{}/no\x9b\u202e.tar"]])
def test_the_usage_is_wrong_when_there_is_no_file(
    main: Main, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = main([argument.format(tmp_path) for argument in arguments])
    except SystemExit as end:
        code = end.code

    said = capsys.readouterr().err
    assert code == 64
    assert str(tmp_path) in said
    assert arguments == ["{}"] or r"there is no file" in said
    assert not {"\x9b", "\u202e"} & set(said)


@VERIFIERS
def test_a_bundle_is_not_ok_when_only_itself_says_whose_it_is(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(make.tar(full()))

    assert main([str(path)]) == 6
    assert "unverified identity" in capsys.readouterr().out
    assert main([str(path), "--self-attested"]) == 0
    assert "(self-attested)" in capsys.readouterr().out
    assert main([str(path), "--vkey", make.SIGNER.vkey]) == 0
    path.write_bytes(b"no tar")
    assert main([str(path)]) == 4


@VERIFIERS
def test_the_usage_is_wrong_when_a_key_is_pinned_and_the_bundles_own_accepted(main: Main, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        run(main, make.tar(full()), tmp_path, "--self-attested", "--vkey", make.SIGNER.vkey)

    assert end.value.code == 64


@VERIFIERS
@pytest.mark.parametrize("made_at", ["1970-01-01T00:00:00.000Z", "2026-03-02T10:00:00.000Z"])
def test_the_readers_clock_counts_when_the_bundle_claims_an_early_time(
    made_at: str, main: Main, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(make.tar(make.members(bundles.opened()), made_at=made_at))

    assert main([str(path), "--self-attested"]) == 2
    assert main([str(path), "--self-attested", "--now", times.text(AT)]) == 0


@VERIFIERS
def test_nothing_of_a_bundle_steers_the_terminal(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = f"\x9b31m\u202e{make.ORIGIN}"
    signer = seeded(origin, b"i" * 32)
    found = full()
    found["checkpoint"] = str(make.checkpoint(TREE.root(SIZE), SIZE, [signer], origin)).encode()
    found["vkeys"] = f"{signer.vkey}\n".encode()
    plain = {name: found[name] for name in found if name[:6] not in ("checkp", "consis") or name == "checkpoint"}

    assert run(main, make.tar(plain, origin=origin), tmp_path) == 0
    assert not {"\x9b", "\u202e"} & set(capsys.readouterr().out)
