"""Clients that can only be of the home region.

``Clients`` is the one place that makes a boto3 client. A client for another region cannot be asked for, an address that
the environment points elsewhere is refused, and each client is made once, when first used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from ..core.errors import WrongRegion

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
    """

    def __init__(self, region: str, make: Callable[[str, str], Any] | None = None) -> None:
        if not region or region.startswith("aws-") or "global" in region:
            raise WrongRegion("the home region must be a real region")
        self.region = region
        self._make = make or make_client
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service.

        Raises:
            WrongRegion: another region than the home region was asked for, or the made client is of another.
        """
        if region is not None and region != self.region:
            raise WrongRegion("clients exist for the home region only")
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service)
                if client is None:
                    client = self._make(service, self.region)
                    if client.meta.region_name != self.region:
                        raise WrongRegion("a client of another region was made")
                    self._clients[service] = client
        return client


def make_client(service: str, region: str) -> Any:
    """Make a plain client of a region."""
    return boto3.session.Session(region_name=region).client(service, config=Config(region_name=region, **_CONFIG))  # type: ignore[call-overload]
