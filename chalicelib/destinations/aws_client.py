"""Clients of the services of tenants' AWS accounts, under roles of the tenants', and what those services' faults mean.

The cell's own clients are made in ``store.region`` and can only be of its home region. These are of the region that a
destination names, hold no right of the cell's but to assume ``role/waybill-*``, and send what a decision has let out.

A service's words never leave this module: a fault becomes an attempt code by ``WORDS``, by its HTTP status, or by ``BROKEN``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as faults
from botocore.parsers import ResponseParserError

from ..core.delivery import retry
from ..core.errors import DeliveryError
from .proof import Proof
from .vetted import failure

SESSION_S = 3600
"""As long as a role may be assumed by a role, and as short as a role's longest session can be."""
RENEWED_BEFORE = timedelta(minutes=5)
SESSIONS_MAX = 1000
CLIENTS_MAX = 64
CODES: Mapping[str, tuple[str, ...]] = {
    "throttled": (
        "Throttling", "Throttled", "RequestThrottled", "TooManyRequests", "SlowDown", "OverLimit",
        "ProvisionedThroughputExceeded", "LimitExceeded", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "PriorRequestNotComplete", "KMSThrottling", "KmsThrottled",
    ),
    "denied": (
        "AccessDenied", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation", "Forbidden", "OptInRequired",
        "AllAccessDisabled", "AccountProblem", "InvalidSecurity", "KMSAccessDenied", "KmsAccessDenied", "KMSDisabled",
        "KmsDisabled", "KMSInvalidState", "KmsInvalidState", "KMSOptInRequired", "KmsOptInRequired", "KmsInvalidKeyUsage",
        "InvalidKMSResource",
    ),
    "credentials": (
        "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClient",
        "InvalidAccessKeyId", "MissingAuthenticationToken", "IncompleteSignature", "InvalidSignature",
        "SignatureDoesNotMatch", "AuthFailure",
    ),
    # A bucket in another region answers by a redirect; there is none where the configuration says.
    "not_found": (
        "NotFound", "ResourceNotFound", "QueueDoesNotExist", "NonExistentQueue", "NoSuchBucket", "PermanentRedirect",
        "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint", "KMSNotFound", "KmsNotFound",
    ),
    "too_large": ("MessageTooLong", "EntityTooLarge", "RequestEntityTooLarge", "PayloadTooLarge"),
    "unavailable": (
        "ServiceUnavailable", "Internal", "InternalError", "InternalFailure", "InternalServerError", "RequestTimeout",
        "RequestTimeTooSkewed", "RequestExpired", "OperationAborted", "ConditionalRequestConflict",
    ),
}  # fmt: skip
"""Attempt code → what services call it, behind the last point and without ``Exception``.

Source: "Common errors" and "Errors" of each action in the services' API references (read 2026-11-22).
"""
WORDS: Mapping[str, str] = {word: code for code, words in CODES.items() for word in words}
BY_STATUS: Mapping[int, str] = {
    301: "not_found", 307: "not_found", 401: "credentials", 403: "denied", 404: "not_found", 413: "too_large",
    429: "throttled", **dict.fromkeys(retry.REFUSING_STATUSES - {413}, "invalid"),
}  # fmt: skip
"""What a word that nobody knows means, by its status; any other 4xx or 5xx is ``unavailable``, the rest ``invalid``."""
BROKEN: tuple[tuple[type[Exception], str, bool], ...] = (
    (faults.ConnectTimeoutError, "timeout", False),
    (faults.ReadTimeoutError, "timeout", True),
    (faults.SSLError, "tls", False),
    (faults.ConnectionError, "connect", False),
    (faults.HTTPClientError, "broken", True),
    (ResponseParserError, "protocol", True),
    (faults.ParamValidationError, "invalid", False),
    (faults.BotoCoreError, "unavailable", False),
)
"""What went wrong without an answer: its class, the code, and whether the request may have arrived. First match counts."""
_RAISED = (faults.BotoCoreError, ResponseParserError)
RENEWABLE = frozenset({"ExpiredToken", "TokenRefreshRequired"})


_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 1},
    "use_dualstack_endpoint": False,
    "proxies": {},
    "user_agent_appid": "waybill",
    "s3": {"us_east_1_regional_endpoint": "regional"},
}


class _ForeignHostError(Exception):
    """A request was about to go to a host of another region."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a thing of a tenant's is reached: under which role, proved by which external id, as which session."""

    role_arn: str
    external_id: str = field(repr=False)
    session: str


@dataclass(frozen=True, slots=True)
class Session:
    """Credentials of an assumed role, until they expire."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: datetime


Make = Callable[[str, str, Session | None], Any]
"""Makes the client of a service in a region, with a role's credentials or, for STS, with the function's own."""


def word_of(error: Mapping[str, Any]) -> str:
    """Return the last part of a service's error code, without what services put around it."""
    return str(error.get("Code", "")).rpartition(".")[2].rpartition("#")[2].removesuffix("Exception")


def code_of(word: str, status: int) -> str:
    """Return the attempt code of an answer that is no success."""
    if word in WORDS:
        return WORDS[word]
    return BY_STATUS.get(status, "unavailable" if status >= 400 else "invalid")


def fault_of(error: Exception) -> DeliveryError:
    """Make the fault of an attempt from what a client raised; its text is dropped."""
    if isinstance(error, faults.ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return failure(code_of(word_of(error.response.get("Error", {})), status))
    if isinstance(error, _ForeignHostError):
        return failure("not_found")
    code, sent = next((code, sent) for kind, code, sent in BROKEN if isinstance(error, kind))
    return failure(code, sent=sent)


class RoleClients:
    """Clients under tenants' roles, kept for as long as the roles' credentials hold. Made without any I/O.

    Args:
        region: the cell's home region; its STS is asked for every role.
        account: the cell's own account, in which nothing is sent to; empty where it is not known: then to nobody.
        now: the clock that credentials expire by.
        make: makes the clients.
    """

    def __init__(
        self,
        region: str,
        account: str,
        now: Callable[[], datetime],
        make: Make | None = None,
    ) -> None:
        self.region = region
        self.account = account
        self._now = now
        self._make = make or ClientFactory()
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()
        self._clients: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def call(
        self,
        access: Access,
        service: str,
        region: str,
        operation: str,
        arguments: Callable[[Any], Mapping[str, Any]],
        passes: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Make one call under a role; once more where the role's credentials had just expired.

        Args:
            arguments: makes the call's arguments, given the client.
            passes: words of an error that are an answer, ``{"Error": word}``.

        Raises:
            DeliveryError: the role was not assumed, or the service did not take the call.
        """
        for renewed in (False, True):
            session = self._session(access)
            client = self._client(service, region, session)
            try:
                answer: Mapping[str, Any] = getattr(client, operation)(**arguments(client))
                return answer
            except faults.ClientError as error:
                word = word_of(error.response.get("Error", {}))
                if word in passes:
                    return {"Error": word}
                if word not in RENEWABLE or renewed:
                    raise fault_of(error) from None
                self._forget(access)
            except (*_RAISED, _ForeignHostError) as error:
                raise fault_of(error) from None
        raise AssertionError("the second round returns or raises")

    def prove(self, access: Access) -> Proof:
        """Ask whether a role is ours to assume and nobody's whom another tenant sends: without its id first, then with it."""
        try:
            self._assume(access, with_id=False)
        except DeliveryError as fault:
            if fault.attempt_code != "denied":
                return Proof.UNKNOWN
        else:
            return Proof.OPEN
        try:
            session = self._assume(access)
        except DeliveryError as fault:
            return Proof.REFUSED if fault.attempt_code == "denied" else Proof.UNKNOWN
        self._keep(access, session)
        return Proof.PROVEN

    def _session(self, access: Access) -> Session:
        with self._lock:
            kept = self._sessions.get((access.role_arn, access.external_id))
        if kept is not None and kept.expires_at - self._now() > RENEWED_BEFORE:
            return kept
        session = self._assume(access)
        self._keep(access, session)
        return session

    def _keep(self, access: Access, session: Session) -> None:
        with self._lock:
            self._sessions[access.role_arn, access.external_id] = session
            while len(self._sessions) > SESSIONS_MAX:
                self._sessions.popitem(last=False)

    def _forget(self, access: Access) -> None:
        with self._lock:
            self._sessions.pop((access.role_arn, access.external_id), None)

    def _assume(self, access: Access, *, with_id: bool = True) -> Session:
        """Assume a role. What STS says of our own rights or state is never held against the destination.

        Raises:
            DeliveryError: ``denied`` where the role does not let us; anything else is tried again later.
        """
        named = (
            {"ExternalId": access.external_id, "DurationSeconds": SESSION_S} if with_id else {"DurationSeconds": 900}
        )
        try:
            given = self._client("sts", self.region, None).assume_role(
                RoleArn=access.role_arn, RoleSessionName=access.session, **named
            )["Credentials"]
        except faults.ClientError as error:
            code = WORDS.get(word_of(error.response.get("Error", {})))  # a 403 alone can be about our own credentials
            raise failure(code if code in ("denied", "throttled") else "unavailable", sent=False) from None
        except (*_RAISED, _ForeignHostError) as error:
            code = fault_of(error).attempt_code
            raise failure(code if code in ("timeout", "tls", "connect") else "unavailable", sent=False) from None
        return Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"])

    def _client(self, service: str, region: str, session: Session | None) -> Any:
        key = (service, region, session.key_id if session else "")
        with self._lock:  # making clients is not safe in threads, and one is made once an hour and role
            if key not in self._clients:
                self._clients[key] = self._make(service, region, session)
                while len(self._clients) > CLIENTS_MAX:
                    self._clients.popitem(last=False)
            self._clients.move_to_end(key)
            return self._clients[key]


class ClientFactory:
    """Makes clients that try once, use no proxy, and send to hosts of their region only.

    Args:
        endpoint_url: where an emulator stands in for all of AWS.
    """

    def __init__(self, endpoint_url: str | None = None) -> None:
        self._endpoint_url = endpoint_url
        self._hosts = {urlsplit(endpoint_url).hostname} if endpoint_url else set()

    @cached_property
    def _boto(self) -> Any:
        import boto3  # for the first delivery under a role

        return boto3.session.Session()

    def __call__(self, service: str, region: str, session: Session | None) -> Any:
        """Make a client. Not to be called by two threads at once."""
        from botocore.config import Config  # as for ``_boto``

        sts = service == "sts"  # its time comes on top of the call's, within the same invocation
        config = Config(**_CONFIG, connect_timeout=2 if sts else 5, read_timeout=5 if sts else 15)
        credentials = {}
        if session is not None:
            credentials = {
                "aws_access_key_id": session.key_id,
                "aws_secret_access_key": session.secret,
                "aws_session_token": session.token,
            }
        made = self._boto.client(
            service, region_name=region, config=config, endpoint_url=self._endpoint_url, **credentials
        )

        _, _, suffix = (urlsplit(made.meta.endpoint_url).hostname or "").partition(f".{region}.")

        def stays(request: Any, **_: Any) -> None:
            # The S3 client follows a bucket to whatever region it is in; a decision was about the region that is named.
            # What stands before it proves nothing: a bucket can be called like a region.
            host = urlsplit(request.url).hostname or ""
            if host not in self._hosts and not (suffix and host.endswith(f".{region}.{suffix}")):
                raise _ForeignHostError

        made.meta.events.register_first("before-send", stays)
        return made
