"""Clients that can only be of the home region.

``Clients`` is the one place that makes a boto3 client. A client for another region cannot be asked for, and each client is
made once, when first used. A home without a region has one address for each service that it has: a client of another
address, or of a service that it does not have, cannot be made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from ..core.errors import WrongRegion
from .direct import direct

_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "connect_timeout": 2,
    "read_timeout": 10,
    "use_dualstack_endpoint": False,
    "user_agent_appid": "waybill",
}


class Clients:
    """Low-level clients of one region, made lazily and kept.

    Args:
        make: makes a client of a service; replaced by tests and benchmarks that count or fail calls.
        endpoints: of a home without a region, the address of each service; none where AWS is the home.
    """

    def __init__(
        self,
        region: str,
        make: Callable[[str, str], Any] | None = None,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        if not region or region.startswith("aws-") or "global" in region:
            raise WrongRegion("the home region must be a real region")
        self.region = region
        self._endpoints = dict(endpoints or {})
        self._make = make or (partial(make_client_at, self._endpoints) if self._endpoints else make_client)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service.

        Raises:
            WrongRegion: another region than the home region was asked for, or the made client is of another.
        """
        if region is not None and region != self.region:
            raise WrongRegion("clients exist for the home region only")
        if self._endpoints and service not in self._endpoints:
            raise WrongRegion(f"this home has no {service}: a client of it would be elsewhere")
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service)
                if client is None:
                    client = self._make(service, self.region)
                    if client.meta.region_name != self.region:
                        raise WrongRegion("a client of another region was made")
                    if self._endpoints and client.meta.endpoint_url.rstrip("/") != self._endpoints[service]:
                        raise WrongRegion("a client of another address than the home's was made")
                    self._clients[service] = client
        return client


# Otherwise links to objects would name S3's global address, and be resolved elsewhere.
_ON_AWS: dict[str, Any] = {"s3": {"addressing_style": "virtual"}}


def make_client(service: str, region: str) -> Any:
    """Make a client of a region."""
    session = botocore.session.get_session()
    made = boto3.session.Session(botocore_session=session, region_name=region)
    client = made.client(service, config=Config(region_name=region, **_CONFIG | _ON_AWS))  # type: ignore[call-overload]
    return _direct(session, client)


def _direct(session: Any, client: Any) -> Any:
    return direct(session, client, connect_s=_CONFIG["connect_timeout"], read_s=_CONFIG["read_timeout"])


_AT_HOME: dict[str, Any] = {
    # What understands S3's calls need not understand its host names, nor checksums in trailers.
    "s3": {"addressing_style": "path"},
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    # One process runs all functions: 256 threads that answer requests at most, three batches of ten lanes, and the clocks.
    # A pool opens connections only as they are needed at once. Those beyond its size are closed after each call.
    "max_pool_connections": 320,
}


def make_client_at(endpoints: Mapping[str, str], service: str, region: str) -> Any:
    """Make a client of one address.

    Its credentials are those of the profile named as the service is, where the shared credentials file has one: a home made
    of several systems has a key for each. Otherwise they are the environment's, as everywhere.
    """
    session = botocore.session.get_session()
    if service in session.available_profiles:
        session.set_config_variable("profile", service)
    config = Config(region_name=region, **_CONFIG | _AT_HOME)
    made = boto3.session.Session(botocore_session=session, region_name=region)
    client = made.client(service, endpoint_url=endpoints[service], config=config)  # type: ignore[call-overload]
    return _direct(session, client)
