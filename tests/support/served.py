"""A served cell whose queues and store are stand-ins, for the tests of its readiness, metrics and status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import EndpointConnectionError

from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients

NOW = datetime(2026, 11, 30, 12, 0, 0, 400_000, tzinfo=UTC)


def gone(**_: Any) -> Any:
    raise EndpointConnectionError(endpoint_url="https://engine.example")


class Engine:
    """Queues and a store that answer with a date, ``ahead`` of this machine's clock."""

    class meta:
        region_name = "ru-home1"
        endpoint_url = "https://engine.example"

    def __init__(self, ahead: timedelta | None = timedelta(0)) -> None:
        self.ahead = ahead

    def _dated(self, **answer: Any) -> dict[str, Any]:
        if self.ahead is None:
            return answer
        date = format_datetime((NOW + self.ahead).replace(microsecond=0), usegmt=True)
        return answer | {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def get_queue_url(self, QueueName: str) -> dict[str, Any]:
        return {"QueueUrl": QueueName}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        counts = {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "2"}
        return self._dated(Attributes=counts)

    def get_item(self, **_: Any) -> dict[str, Any]:
        return self._dated()

    def query(self, **_: Any) -> dict[str, Any]:
        values = {"pk": {"S": "clock"}, "sk": {"S": "sweep"}, "began_at": {"N": "1"}, "ended_at": {"N": "1000000"}}
        return self._dated(Items=[values])


class Monotonic:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def cell(engine: Any, monotonic: Callable[[], float] = Monotonic()) -> Runtime:  # noqa: B008
    url = "https://engine.example"
    clients = Clients("ru-home1", lambda *_: engine, {"sqs": url, "dynamodb": url})
    settings = Settings(cell="ru1", region="ru-home1", country="RU", engine="alternator")
    return Runtime(settings, clients, now=lambda: NOW, monotonic=monotonic)
