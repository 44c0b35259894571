"""Send a delivery by an AWS kind, with answers that a test gives."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import of_kind
from chalicelib.destinations.aws_client import Access
from chalicelib.destinations.base import SendingClients
from tests.support.destination_kinds import AWS_KINDS, DOCUMENT, NOW, delivery
from tests.support.tenant_aws import EXTERNAL_ID, faked

ROLE = "arn:aws:iam::999988887777:role/waybill-events"
ACCESS = Access(ROLE, EXTERNAL_ID, "dst_00000000000000000000000001")
aws_kinds = pytest.mark.parametrize("kind", AWS_KINDS)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def sent(kind: str, clients: SendingClients, document: Any = DOCUMENT, **changes: Any) -> Any:
    module = of_kind(kind)
    return module.send(module.render(document, delivery(kind, **changes)), clients)


def failed(kind: str, *answers: Any, document: Any = DOCUMENT) -> DeliveryError:
    clients, _ = faked(lambda: NOW, ROLE, *answers)
    with pytest.raises(DeliveryError) as error:
        sent(kind, clients, document)
    return error.value
