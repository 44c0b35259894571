"""Tenants' AWS accounts as tests need them: an STS that knows trust policies, which moto does not, and services that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.destinations.aws_client import Make, RoleClients, Session
from chalicelib.destinations.base import SendingClients

REGION = "eu-central-1"
CELL_ACCOUNT = "111122223333"
EXTERNAL_ID = "wbx_0000000000000000000000000000000000000000000000000000"
SAID = "s-a-i-d c-o-n-t-e-n-t"
"""A service's error text: it may hold anything, and may never be shown."""


def refusal(code: str, status: int = 400, operation: str = "Any") -> ClientError:
    """The error that a client raises for an unsuccessful answer."""
    answer: Any = {"Error": {"Code": code, "Message": SAID}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


@dataclass
class Sts:
    """STS for roles whose trust policies demand an external id, or none (``None``). Others cannot be assumed by us."""

    now: Callable[[], datetime]
    trusts: Mapping[str, str | None] = field(default_factory=dict)
    fault: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault
        role = asked["RoleArn"]
        if role not in self.trusts or self.trusts[role] not in (None, asked.get("ExternalId")):
            raise refusal("AccessDenied", 403)
        number = len(self.asked)
        return {
            "Credentials": {
                "AccessKeyId": f"key-{number}",
                "SecretAccessKey": "s-e-c-r-e-t",
                "SessionToken": "t-o-k-e-n",
                "Expiration": self.now() + timedelta(seconds=asked["DurationSeconds"]),
            }
        }


class Meta:
    endpoint_url = "https://thing.eu-central-1.amazonaws.com"


@dataclass
class Service:
    """A service that answers each call by the next of ``answers``, and the last one from then on; exceptions are raised."""

    answers: list[Any]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    meta: Any = Meta

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@dataclass
class Maker:
    """Makes the fakes; records for whom each was made."""

    sts: Sts
    service: Service
    made: list[tuple[str, str, str | None]] = field(default_factory=list)

    def __call__(self, service: str, region: str, session: Session | None) -> Any:
        self.made.append((service, region, session.key_id if session else None))
        return self.sts if service == "sts" else self.service


TAKEN = {"ResponseMetadata": {"HTTPStatusCode": 200}, "FailedEntryCount": 0, "Entries": [{}]}


def clients(
    make: Make, now: Callable[[], datetime], account: str = CELL_ACCOUNT, region: str = REGION
) -> SendingClients:
    """Destination clients of a cell."""
    return SendingClients(aws=RoleClients(region, account, now, make))


def faked(
    now: Callable[[], datetime],
    role: str,
    *answers: Any,
    fault: Exception | None = None,
    demands: str | None = EXTERNAL_ID,
) -> tuple[SendingClients, Maker]:
    """Clients over fakes: a role that demands an external id, and a service that gives these answers."""
    maker = Maker(Sts(now, {role: demands}, fault), Service(list(answers) or [TAKEN]))
    return clients(maker, now), maker
