"""The embedded engine's keys: each wraps data for itself only, though they share their unused parts."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.cell import engines

REGION = "eu-central-1"


def test_a_key_opens_only_what_it_wrapped_when_two_are_made() -> None:
    with engines.moto() as engine:
        kms = engine.make_client("kms", REGION)
        one, other = _key(kms), _key(kms)

        wrapped = kms.encrypt(KeyId=one, Plaintext=b"data key", EncryptionContext={"table": "a"})["CiphertextBlob"]

        opened = kms.decrypt(CiphertextBlob=wrapped, EncryptionContext={"table": "a"})
        assert (opened["Plaintext"], opened["KeyId"].endswith(one)) == (b"data key", True)
        with pytest.raises(ClientError, match="AccessDenied"):
            kms.decrypt(CiphertextBlob=wrapped, EncryptionContext={"table": "a"}, KeyId=other)
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            kms.decrypt(CiphertextBlob=wrapped, EncryptionContext={"table": "b"})


def test_keys_that_sign_are_drawn_one_by_one_when_the_engine_shares_those_that_do_not() -> None:
    with engines.moto() as engine:
        kms = engine.make_client("kms", REGION)

        found = {
            kms.get_public_key(KeyId=_key(kms, KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256"))["PublicKey"]
            for _ in range(2)
        }

        assert len(found) == 2


def _key(kms: Any, **settings: str) -> str:
    return str(kms.create_key(**settings)["KeyMetadata"]["KeyId"])
