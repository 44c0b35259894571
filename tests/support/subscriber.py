"""One source at a stand-in for its platform."""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib import platforms
from chalicelib.core.tenant.subscription import FoundSubscription
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.vetted import Limits
from chalicelib.platforms.base import PlatformApi, Webhook
from tests.fixtures.destinations.loopback import LONG_S
from tests.fixtures.platforms.base import URL, StandIn

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
CLIENTS = SendingClients(policy=Policy(allow_cidrs=("127.0.0.0/8",)))
USUAL, HASTY = Limits(LONG_S, LONG_S, LONG_S), Limits(0.5, 0.5, 0.5)


class Subscriber:
    """One source at one platform."""

    def __init__(self, stand_in: type[StandIn], root: str, limits: Limits = USUAL) -> None:
        found = platforms.of_channel(stand_in.channel)
        assert found is not None
        self.platform, self.root, self.limits = found, root, limits
        self.credentials = found.Credentials.model_validate(dict(stand_in.credentials))
        self.webhook = Webhook(URL, dict(stand_in.secret), NOW)

    @property
    def api(self) -> PlatformApi:
        return PlatformApi(CLIENTS, self.platform.CAPABILITIES.api, NOW, self.root, self.limits)

    def find(self) -> FoundSubscription:
        return self.platform.find(self.api, self.credentials, self.webhook)

    def register(self) -> None:
        self.platform.register(self.api, self.credentials, self.webhook)
