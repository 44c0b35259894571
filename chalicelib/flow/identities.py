"""The rows of ``people`` under which the people of an event may be stored: one for each id that the event tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..channels import NUMBER_PREFIXES
from ..core.event.identities import other_ids
from ..core.tenant.consents import subjects_of
from ..store.people import people_key
from ..store.snapshot import Snapshot


def identity_keys(snapshot: Snapshot, document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return for each person of an event the keys of their rows, the one of the id that the event uses first."""
    channel, source = document["channel"], document["source"]
    others = other_ids(document, NUMBER_PREFIXES.get(channel))

    def key(id: str) -> str:
        return people_key(snapshot.configuration.tenant.id, snapshot.keys, "subject", channel, source, id)

    return [tuple(key(one) for one in (id, *others.get(id, ()))) for id in subjects_of(document)]
