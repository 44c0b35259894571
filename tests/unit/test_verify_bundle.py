from __future__ import annotations

import io
import tarfile

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.verify import bundle
from chalicelib.core.verify.bundle import BundleMember, member

MANIFEST = member("manifest.json", b"{}")


def made(*members: BundleMember) -> bytes:
    return b"".join(bundle.write(members))


def test_members_come_back_when_a_tar_was_written_in_pieces() -> None:
    data = made(MANIFEST, BundleMember("entries.jsonl", 700, (b"x" * 512, b"", b"y" * 188)), member("vkeys", b""))

    spans = bundle.read(data)

    assert [(name, data[first:end]) for name, (first, end) in spans.items()] == [
        ("manifest.json", b"{}"), ("entries.jsonl", b"x" * 512 + b"y" * 188), ("vkeys", b""),
    ]  # fmt: skip
    assert len(data) % 10_240 == 0


def test_the_tar_is_one_for_others_when_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(made(MANIFEST, member("checkpoint", b"c" * 513)))) as read:
        assert [(m.name, m.size, m.isreg(), m.mode) for m in read] == [
            ("manifest.json", 2, True, 0o644), ("checkpoint", 513, True, 0o644),
        ]  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        [member("checkpoint", b"")],
        [MANIFEST, MANIFEST],
        [MANIFEST, member("vkeys", b""), member("vkeys", b"")],
        [MANIFEST, member("notes.txt", b"")],
        [MANIFEST, member("checkpoints/01", b"")],
        [MANIFEST, member("rules/" + "A" * 64 + ".json", b"")],
        [MANIFEST, BundleMember("vkeys", 3, (b"four",))],
        [MANIFEST, BundleMember("vkeys", 5, (b"four",))],
    ],
)
def test_a_tar_is_not_written_when_names_or_lengths_are_wrong(members: list[BundleMember]) -> None:
    with pytest.raises(ValueError, match=r"bundle|member"):
        made(*members)


class Sparse:
    """A file of ten gigabytes of zeros, except for the given pieces."""

    def __init__(self, pieces: dict[int, bytes], size: int) -> None:
        self.pieces, self.size = pieces, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: slice, /) -> bytes:
        first, end = at.start, min(at.stop, self.size)
        for start, piece in self.pieces.items():
            if start <= first < start + len(piece):
                return piece[first - start : end - start]
        return bytes(max(0, end - first))


def test_a_member_of_more_than_eight_gigabytes_is_found_when_read() -> None:
    size = 10 * 2**30
    head = next(bundle.write([BundleMember("manifest.json", 2, (b"{}",))])) + b"{}" + bytes(510)
    parts = bundle.write([MANIFEST, BundleMember("entries.jsonl", size, ())])
    large = next(part for part in parts if part.startswith(b"entries.jsonl"))

    spans = bundle.read(Sparse({0: head + large}, 1536 + size + 2048))

    assert spans["entries.jsonl"] == (1536, 1536 + size)


@pytest.mark.parametrize("at", [0, 99, 124, 148, 156, 257])
def test_a_tar_is_refused_when_a_header_is_damaged(at: int) -> None:
    data = bytearray(made(MANIFEST, member("vkeys", b"")))
    data[1024 + at] ^= 0x41

    with pytest.raises(AuditBroken):
        bundle.read(bytes(data))


def test_the_manifest_names_region_tenant_and_log_when_made() -> None:
    data = bundle.manifest(
        origin="audit.x/eu-central-1/tnt_1/2026",
        mode="full",
        query=None,
        size=1,
        count=1,
        made_at="t",
        files={"vkeys": "00"},
    )

    assert data == (
        b'{"count":1,"files":{"vkeys":"00"},"log":"2026","made_at":"t","mode":"full","origin":"audit.x/eu-central-1/tnt_1/2026",'
        b'"query":null,"region":"eu-central-1","schema":"waybill.bundle/1","size":1,"tenant":"tnt_1"}'
    )
