"""A new source of a channel with a weaker mode is in the secure mode unless its tenant says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_cell import SOURCE, Api

SECRET = {
    "token": "wbWechatToken",
    "encoding_aes_key": "c2lnbi10ZXN0LWtleS1mb3Itd2F5YmlsbC1hZXMtMzI",
    "app_id": "wx7d1c0ffee5ca1e00",
}


@pytest.mark.parametrize(("stated", "plain"), [({}, False), ({"plain": False}, False), ({"plain": True}, True)])
def test_a_wechat_source_takes_plain_messages_only_when_its_secret_says_so(
    tenant: Api, stated: dict[str, bool], plain: bool
) -> None:
    made = tenant.made_by("/v1/sources", {**SOURCE, "channel": "wechat", "secret": {**SECRET, **stated}})
    rotated = tenant.post(f"/v1/sources/{made['id']}/secret", {"secret": {**SECRET, "token": "another", **stated}})

    row = tenant.runtime.config.get(tenant.made["tenant"], made["id"])
    held: Any = tenant.runtime.config.secrets(tenant.made["tenant"], made["id"], row.sealed)
    assert rotated.status == 200
    assert [one["secret"]["plain"] for one in held] == [plain, plain]
