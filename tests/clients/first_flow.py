"""The README's first flow with a generated client: ``first_flow.py URL OPERATOR_KEY``, where ``waybill_client`` is importable.

It prints the text of the event that the cell made of one Telegram message.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
import urllib.request

from waybill_client.api.bases import create_basis
from waybill_client.api.events import list_events
from waybill_client.api.sources import create_source
from waybill_client.api.tenants import create_tenant
from waybill_client.client import AuthenticatedClient
from waybill_client.models import (
    BasisKind,
    BasisSettings,
    Controller,
    CountryCode,
    EventKind,
    NewTelegramSource,
    Retention,
    TelegramSecret,
    TenantSettings,
    TenantSettingsEdition,
    TenantSettingsTenantClass,
)

WAIT_S = 60


def main(url: str, operator_key: str) -> None:
    """Declare the first flow, post a message, and read its event."""
    operator = AuthenticatedClient(base_url=url, token=operator_key, raise_on_unexpected_status=True)
    settings = TenantSettings(
        name="Nord",
        edition=TenantSettingsEdition.ENTERPRISE,
        tenant_class=TenantSettingsTenantClass.GENERAL,
        retention=Retention(default_days=30),
        controller=Controller(legal_name="Nord GmbH", country=CountryCode.DE, contact="privacy@nord.example"),
    )
    made = create_tenant.sync(client=operator, body=settings)
    tenant = AuthenticatedClient(base_url=url, token=made.key.secret, raise_on_unexpected_status=True)
    source = create_source.sync(
        client=tenant,
        body=NewTelegramSource(
            channel="telegram",
            name="shop bot",
            secret=TelegramSecret(secret_token="s3cret"),
            subject_country=CountryCode.DE,
            special=[],
        ),
    )
    for kind in (BasisKind.INSTRUCTION, BasisKind.CONTRACT):
        day = datetime.date(2026, 1, 1)
        create_basis.sync(client=tenant, body=BasisSettings(kind=kind, valid_from=day, evidence="sha256:" + "9f" * 32))
    update = {
        "update_id": 1,
        "message": {
            "message_id": 1,
            "date": int(time.time()),
            "text": "Where is my parcel?",
            "chat": {"id": 100, "type": "private"},
            "from": {"id": 100, "is_bot": False, "first_name": "Mira"},
        },
    }
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": "s3cret"}
    urllib.request.urlopen(urllib.request.Request(source.url, json.dumps(update).encode(), headers)).close()
    ends = time.monotonic() + WAIT_S
    while time.monotonic() < ends:
        page = list_events.sync(client=tenant, limit=1, kind=EventKind.MESSAGE)
        if page.data:
            print(page.data[0].message.text)
            return
        time.sleep(0.2)
    sys.exit("no event came")


if __name__ == "__main__":
    main(*sys.argv[1:])
