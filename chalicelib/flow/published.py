"""Publish the configurations that decisions name: an auditor needs the exact one, and later ones do not show it."""

from __future__ import annotations

from ..runtime import Runtime
from ..store.snapshot import Snapshot


def keep_published(runtime: Runtime, snapshot: Snapshot) -> None:
    """Publish a configuration before the first decision that names it is written. Almost always it is known to be there.

    Raises:
        AuditUnavailable: it is not known to be published; nothing may be decided by it.
    """
    configuration = snapshot.configuration
    if snapshot.published != configuration.hash:
        publish(runtime, snapshot)


def publish(runtime: Runtime, snapshot: Snapshot) -> None:
    """Publish a configuration. Raises as ``keep_published``."""
    configuration = snapshot.configuration
    key = f"configs/{configuration.tenant.id}/{configuration.hash}.json"
    runtime.evidence.put(key, configuration.canonical, "application/json")
