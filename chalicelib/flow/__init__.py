"""The use cases: what the doors, the queues, the clock and the API have the cell do.

Each is loaded when it is first named, as ``flow.receive`` and so on: a function is one process, which waits for its imports
before its first answer and needs only its own use case.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import (
        answer,
        bundle,
        configure,
        connect,
        consent_import,
        consents,
        conversations,
        dead,
        deliver,
        door,
        erase,
        jobs,
        judge,
        legal_holds,
        lists,
        messages,
        profiles,
        proofs,
        pull,
        pump,
        read,
        receive,
        replay,
        request,
        route,
        seal,
        sweep,
        switches,
        terms,
        trial,
        volumes,
    )

__all__ = (
    "answer",
    "bundle",
    "configure",
    "connect",
    "consent_import",
    "consents",
    "conversations",
    "dead",
    "deliver",
    "door",
    "erase",
    "jobs",
    "judge",
    "legal_holds",
    "lists",
    "messages",
    "profiles",
    "proofs",
    "pull",
    "pump",
    "read",
    "receive",
    "replay",
    "request",
    "route",
    "seal",
    "sweep",
    "switches",
    "terms",
    "trial",
    "volumes",
)


def __getattr__(name: str) -> ModuleType:
    """Load a use case. The import sets it as an attribute, so that this is asked once for each."""
    if name not in __all__:
        raise AttributeError(f"there is no use case {name}")
    return import_module(f"{__name__}.{name}")
