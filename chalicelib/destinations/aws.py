"""What the AWS kinds share: names of things, where those are, what is written, one call under the tenant's role.

The procedure of every attempt:

    1 refuse        the cell's own account, another partition of AWS: the same judgement, in the same words, as at creation
    2 measure       what is larger than the service takes is never sent
    3 assume        (an example: prove first) the tenant's role, with the destination's external id
    4 call          once, in the region that the configuration names and in no other
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from .. import law
from ..core.errors import DeliveryError, Invalid
from . import base
from .aws_client import Access, RoleClients
from .base import Countries, Delivery, DeliveryReceipt, SendingClients
from .proof import Proof
from .vetted import failure

ACCEPTED = "accepted"
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html (read 2026-11-22). Partitions that a cell
# can be in; us-gov and the isolated ones have accounts that nobody outside can assume a role of.
PARTITIONS = ("aws", "aws-cn", "aws-eusc")
_ARN = re.compile(rf"arn:({'|'.join(PARTITIONS)}):([a-z0-9]+):([a-z0-9-]*):([0-9]{{12}}):(\S+)\Z")
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (read 2026-11-22): names of at most 64
# characters. With a path it would not be one of the roles that the cell may assume.
_ROLE = re.compile(r"role/waybill-[A-Za-z0-9_+=,.@-]{1,56}\Z")
# Half of a surrogate pair, and two code points that SQS and SNS refuse, as the escapes that JSON has for them.
# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (read 2026-11-22).
_NOT_TEXT = re.compile("[\ufffe\uffff]")

REFUSALS: Mapping[str, str] = {
    "unknown_account": "this cell does not know its own AWS account: its operator has to set WAYBILL_ACCOUNT first",
    "own_account": "name resources of your own account: the cell never sends into its own account",
    "partition": "name things of the partition of AWS that this cell is in: roles of another cannot be assumed",
}
"""Why a configuration is refused, in the words a tenant reads."""


UNPROVED = (
    "the role must be assumable only with the destination's external id: enabling the destination names the problem"
)


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN."""

    partition: str
    service: str
    region: str
    account: str
    resource: str


def read_arn(text: str) -> Arn:
    """Take an ARN of a partition that cells can be in apart.

    Raises:
        ValueError: not one.
    """
    parts = _ARN.match(text)
    if parts is None or len(text) > 2048:
        raise ValueError(f"must be an ARN of the partition {', '.join(PARTITIONS)}")
    return Arn(*parts.groups())


def _role(text: str) -> str:
    arn = read_arn(text)
    if arn.service != "iam" or arn.region or not _ROLE.match(arn.resource):
        raise ValueError("must be the ARN of a role whose name begins with waybill-")
    return text


def thing(service: str, resource: str) -> AfterValidator:
    """Return the validator of a field that names a thing of a service.

    Args:
        resource: a regular expression of what follows the account.
    """
    pattern = re.compile(rf"(?:{resource})\Z")

    def check_thing(text: str) -> str:
        arn = read_arn(text)
        if arn.service != service or not pattern.match(arn.resource):
            raise ValueError(f"must be the ARN of a thing of {service}")
        return text

    return AfterValidator(check_thing)


class RoleConfig(base.Config):
    """The role that a destination is reached under. Kinds add what it leads to."""

    role_arn: Annotated[str, AfterValidator(_role)]

    @property
    def role(self) -> Arn:
        """The role's ARN in parts."""
        return read_arn(self.role_arn)

    @property
    def home(self) -> tuple[str, str]:
        """The region and the account of the thing. Abstract: each kind reads them from its own fields."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _placed(self) -> RoleConfig:
        region, _ = self.home
        partition = law.region_partition(region)
        if partition is None:
            raise ValueError("the region is not one whose country is known")
        if partition != self.role.partition:
            raise ValueError("the role and the region are of different partitions of AWS")
        return self


class ThingConfig(RoleConfig):
    """A role and the ARN of what it leads to; each kind says of which service."""

    arn: str

    @property
    def target(self) -> Arn:
        """The thing's ARN in parts."""
        return read_arn(self.arn)

    @property
    def home(self) -> tuple[str, str]:
        """The region and the account of the thing."""
        return self.target.region, self.target.account

    @model_validator(mode="after")
    def _alike(self) -> ThingConfig:
        if self.target.partition != self.role.partition:
            raise ValueError("the role and the resource are of different AWS partitions")
        return self


@dataclass(frozen=True, slots=True)
class AwsCall:
    """The call of a kind.

    ``limit_bytes`` is what the service takes at most; ``usual_bytes`` what a thing takes unless its owner has raised that.
    """

    service: str
    operation: str
    limit_bytes: int
    usual_bytes: int


@dataclass(frozen=True, slots=True)
class AwsMessage:
    """A call, ready to be made. ``size_bytes`` is as the service counts, ``body`` what it carries of the event.

    ``test`` says that it carries an example: that may be sent before the destination is enabled, so that its role is proved
    first. Else a tenant could have the cell write under a role that anybody may assume.
    """

    config: Any = field(repr=False)
    access: Access
    arguments: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    size_bytes: int
    test: bool = False


def place(config: RoleConfig) -> Countries | None:
    """Return the country of the region: what is sent there is processed there, whatever the recipient's record says."""
    return (law.region_country(config.home[0]),)


def check(config: RoleConfig, clients: SendingClients) -> None:
    """Refuse things that this cell never sends to.

    Raises:
        Invalid: the cell's own account, or another partition than the cell's.
    """
    reason = _refusal(config, _aws(clients))
    if reason is not None:
        raise Invalid(REFUSALS[reason], [{"loc": "body.config.role_arn", "code": reason, "msg": REFUSALS[reason]}])


def _refusal(config: RoleConfig, aws: RoleClients) -> str | None:
    if not aws.account:
        return "unknown_account"
    if aws.account in (config.role.account, config.home[1]):
        return "own_account"
    return "partition" if config.role.partition != law.region_partition(aws.region) else None


def _aws(clients: SendingClients) -> RoleClients:
    if clients.aws is None:
        raise RuntimeError("the kinds of AWS need clients that reach it")
    return clients.aws


def prove(config: RoleConfig, external_id: str, session: str, clients: SendingClients) -> Proof:
    """Ask whether the role is assumed with the external id, and is not without: else a tenant could name another's role.

    Args:
        session: a ref, by which the assumed role is known in the tenant's trail.
    """
    return _aws(clients).prove(Access(config.role_arn, external_id, session))


def written(document: Any) -> bytes:
    """Write an event as JSON that every service takes.

    Raises:
        DeliveryError: ``render``, where it is not JSON.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise failure("render", sent=False) from None
    return _NOT_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8", "backslashreplace")


def ids_of(delivery: Delivery) -> dict[str, str]:
    """Return what is said of a delivery beside its body, where a service has a place for it."""
    return {
        "event_id": delivery.event_id,
        "kind": delivery.kind,
        "channel": delivery.channel,
        "transfer_id": delivery.transfer_id,
        "delivery_id": delivery.delivery_id,
    }


def lane_of(delivery: Delivery) -> str:
    """Return what keeps order: the conversation's ref, or the event's id where there is no conversation."""
    return delivery.conversation or delivery.event_id


def aws_message(
    delivery: Delivery, body: bytes, arguments: Mapping[str, Any], size_bytes: int | None = None
) -> AwsMessage:
    """Make a message; its size is the body's unless the service counts more.

    Raises:
        DeliveryError: ``render``, where the destination has no external id.
    """
    if delivery.external_id is None:
        raise failure("render", sent=False)
    access = Access(delivery.config.role_arn, delivery.external_id, delivery.destination_id)
    size = len(body) if size_bytes is None else size_bytes
    return AwsMessage(delivery.config, access, arguments, body, size, delivery.test)


def with_attributes(delivery: Delivery, body: bytes, arguments: Mapping[str, Any]) -> AwsMessage:
    """Make a message of a service whose messages have attributes, which count, and may be of a FIFO thing."""
    ids = ids_of(delivery)
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in ids.items()}
    size = len(body) + sum(len(name) + len("String") + len(value) for name, value in ids.items())
    fifo = {}
    if delivery.config.arn.endswith(".fifo"):
        fifo = {"MessageGroupId": lane_of(delivery), "MessageDeduplicationId": delivery.delivery_id}
    return aws_message(delivery, body, {**arguments, "MessageAttributes": attributes, **fifo}, size)


def make(
    one: AwsMessage,
    clients: SendingClients,
    call: AwsCall,
    arguments: Callable[[Any], Mapping[str, Any]] | None = None,
    passes: frozenset[str] = frozenset(),
) -> Mapping[str, Any]:
    """Make a message's call once.

    Args:
        arguments: makes what depends on the client, given it; the message's own are sent along.
        passes: errors that are an answer: ``{"Error": word}``.

    Raises:
        DeliveryError: the role was not assumed, or the service did not take the call.
    """
    aws = _aws(clients)
    reason = _refusal(one.config, aws)
    if reason is not None:
        fault = failure("forbidden_address", sent=False)
        fault.detail = REFUSALS[reason]  # the words that creation would have used
        raise fault
    if one.size_bytes > call.limit_bytes:
        raise failure("too_large", sent=False)
    proof = aws.prove(one.access) if one.test else Proof.PROVEN
    if proof is not Proof.PROVEN:
        fault = failure("unavailable" if proof is Proof.UNKNOWN else "denied", sent=False)
        fault.detail = UNPROVED
        raise fault
    region, _ = one.config.home
    try:
        return aws.call(
            one.access,
            call.service,
            region,
            call.operation,
            lambda client: {**one.arguments, **(arguments(client) if arguments else {})},
            passes,
        )
    except DeliveryError as fault:
        # Services call a message "invalid" that is larger than its owner lets this queue, topic or stream take.
        if fault.attempt_code == "invalid" and one.size_bytes > call.usual_bytes:
            raise failure("too_large") from None
        raise


def receipt(answer: Mapping[str, Any]) -> DeliveryReceipt:
    """Return the receipt of a call that was taken: its status, and nothing of the answer, which says nothing more."""
    return DeliveryReceipt(ACCEPTED, int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) or None)
