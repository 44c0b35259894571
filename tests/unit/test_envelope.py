"""Encryption and the keys of each use: published parts, both stored forms, versions of a master key."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from chalicelib.api import cursors, replies
from chalicelib.core import ids, times
from chalicelib.core.delivery import links
from chalicelib.core.envelope import (
    NONCE_BYTES,
    OVERHEAD_BYTES,
    TenantKeys,
    commitment,
    content_key,
    decrypt,
    encrypt,
    expand,
    is_committed,
    unpack,
)
from chalicelib.core.errors import Misconfigured
from chalicelib.flow.routing.route import canonical
from chalicelib.store.people import people_key

OLD: dict[str, Any] = json.loads((Path(__file__).parents[1] / "fixtures/crypto/release-1.json").read_text("utf-8"))
"""What the release before wrote, with fixed keys and nonces. The second of each has a nonce that begins as the new form."""
MASTER, DATA_KEY = bytes.fromhex(OLD["master"]), bytes.fromhex(OLD["data_key"])
SECOND, THIRD = b"2" * 32, b"3" * 32
NONCE = bytes(range(NONCE_BYTES))
USES = ["wrap", "queue", "secrets"]


def from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_a_key_is_expanded_as_in_rfc_5869() -> None:
    assert expand(MASTER, "waybill/x") == HKDFExpand(SHA256(), 32, b"waybill/x").derive(MASTER)


def test_a_message_is_what_published_parts_make_of_it() -> None:
    head, salt, nonce = b"\x02\x00\x01", NONCE[:12], NONCE[12:]
    key = HKDFExpand(SHA256(), 32, b"waybill/queue/2\0" + salt).derive(MASTER)

    sealed = encrypt(TenantKeys(MASTER).queue, NONCE, b"plain", "a/b")

    assert sealed == head + salt + nonce + AESGCM(key).encrypt(nonce, b"plain", head + b"a/b")


# The new form


@pytest.mark.parametrize("use", USES)
def test_a_text_opens_with_its_key_version_and_context_alone(use: str) -> None:
    key = getattr(TenantKeys(MASTER), use)
    sealed = encrypt(key, NONCE, b"plain", "a/b")

    assert len(sealed) == len(b"plain") + OVERHEAD_BYTES
    assert decrypt(key, sealed, "a/b") == b"plain"
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for other in (*changed, sealed[:-1], sealed + b"\0", b"", sealed[:3]):
        with pytest.raises(Misconfigured):
            decrypt(key, other, "a/b")
    for wrong in (getattr(TenantKeys(SECOND), use), *(getattr(TenantKeys(MASTER), o) for o in USES if o != use)):
        with pytest.raises(Misconfigured):
            decrypt(wrong, sealed, "a/b")
    with pytest.raises(Misconfigured):
        decrypt(key, sealed, "a/c")


# The form of the release before


@pytest.mark.parametrize("place", [0, 1])
def test_what_the_release_before_encrypted_is_read(place: int) -> None:
    keys = TenantKeys(MASTER, {2: SECOND, 3: THIRD}, 3)
    queue, secrets, person, content = (OLD[name] for name in ("queue", "secrets", "person", "content"))
    event_context = f"eu-central-1/{OLD['tenant']}/{content['event']}"

    assert unpack(decrypt(keys.queue, from_base64(queue["sealed"][place]), queue["context"])) == OLD["document"]
    assert decrypt(keys.secrets, from_base64(secrets["sealed"][place]), secrets["context"]) == secrets["plain"].encode()
    assert decrypt(keys.wrap, from_base64(person["key"][place]), f"eu-central-1/{person['pk']}") == DATA_KEY
    sealed = from_base64(content["sealed"][place])
    assert unpack(decrypt(content_key(DATA_KEY), sealed, event_context)) == OLD["document"]


def test_commitments_of_both_releases_verify() -> None:
    event, plain = OLD["document"]["id"], canonical(OLD["document"])
    new = commitment(DATA_KEY, event, plain)

    assert new != OLD["commitment"]
    for digest in (new, OLD["commitment"]):
        assert is_committed(digest, DATA_KEY, event, plain)
        assert not is_committed(digest, MASTER, event, plain)
        assert not is_committed(digest, DATA_KEY, event, plain + b" ")


@pytest.mark.parametrize("keys", [TenantKeys(MASTER), TenantKeys(MASTER, {2: SECOND}, 2)], ids=["first", "second"])
def test_names_are_those_of_the_release_before(keys: TenantKeys) -> None:
    assert ids.event_id(keys.ids, "src", "77") == OLD["event_id"]
    assert ids.keyed("cnv", keys.people, "src", "77") == OLD["group"]
    assert people_key(OLD["tenant"], keys, "subject", "telegram", "src", "77") == OLD["person"]["pk"]
    assert keys.pseudonyms("rcp").hex() == OLD["pseudonyms"]
    assert replies.fingerprint_of(keys.fingerprints, "POST", "/v1/recipients", b"{}") == OLD["fingerprint"]


@pytest.mark.parametrize("keys", [TenantKeys(MASTER), TenantKeys(MASTER, {2: SECOND}, 2)], ids=["first", "second"])
def test_links_and_cursors_of_the_release_before_are_accepted(keys: TenantKeys) -> None:
    link = links.read(OLD["link"])
    query = {"kind": "message", "cursor": OLD["cursor"]}

    assert link is not None
    assert any(map(link.is_genuine, keys.links))
    assert cursors.read(keys.cursors, OLD["tenant"], "/v1/events", query) == "evt_5"


# Versions


def test_the_current_version_encrypts_and_all_are_read() -> None:
    first, second = TenantKeys(MASTER), TenantKeys(MASTER, {2: SECOND}, 2)
    waiting = TenantKeys(MASTER, {2: SECOND}, 1)
    before, after = (encrypt(keys.secrets, NONCE, b"plain", "a") for keys in (first, second))

    assert (before[:3], after[:3]) == (b"\x02\x00\x01", b"\x02\x00\x02")
    for keys in (second, waiting):
        assert [decrypt(keys.secrets, sealed, "a") for sealed in (before, after)] == [b"plain", b"plain"]
    with pytest.raises(Misconfigured):
        decrypt(first.secrets, after, "a")
    assert encrypt(waiting.secrets, NONCE, b"plain", "a") == before


def test_macs_are_made_by_the_current_version_and_accepted_by_all() -> None:
    now, later = times.EARLIEST + timedelta(days=20_000), TenantKeys(MASTER, {2: SECOND}, 2)
    made = [
        links.read(links.token(keys.links[0], OLD["tenant"], "trf_" + "3" * 26, now, 1))
        for keys in (TenantKeys(MASTER), later)
    ]

    assert made[0] != made[1]
    assert [any(map(link.is_genuine, later.links)) for link in made if link] == [True, True]


def test_no_two_uses_share_a_key() -> None:
    keys = TenantKeys(MASTER, {2: SECOND}, 2)
    macs = {"ids": keys.ids, "people": keys.people, "external_ids": keys.external_ids, "new": keys.new}
    macs |= {"cursors": keys.cursors[0], "links": keys.links[0], "fingerprints": keys.fingerprints}
    macs |= {"pseudonyms": keys.pseudonyms("a"), "others": keys.pseudonyms("b")}
    sealing = {use: encrypt(getattr(keys, use), NONCE, bytes(32), "") for use in USES}
    sealing["content"] = b"\x02\x00\x02" + encrypt(content_key(SECOND), NONCE, bytes(32), "")[3:]

    assert len(set(macs.values())) == len(macs)
    assert len(set(sealing.values())) == len(sealing)
