"""Facebook Messenger webhooks: signed batches of what people and a page do in their conversations.

Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.event.event import Draft
from .base import ChannelCapabilities, Ignored, Inbound
from .meta import Secret, acknowledge, challenge, verify
from .meta_messaging import events

__all__ = ["CAPABILITIES", "KIND", "Secret", "acknowledge", "challenge", "normalise", "verify"]

KIND = "messenger"
CAPABILITIES = ChannelCapabilities(unsubscribes_after_h=1)
"""Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks (read 2026-12-01)."""
OBJECT = "page"


def normalise(request: Inbound) -> Iterator[Draft | Ignored]:
    """Yield the events of all entries. A message's ``mid``, or what was done to it and when, names the occurrence."""
    return events(request, OBJECT)
