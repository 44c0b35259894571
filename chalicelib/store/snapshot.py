"""A tenant's configuration as a process has read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.envelope import TenantKeys, decrypt
from ..core.tenant.configuration import Configuration
from ..core.tenant.legal_holds import LegalHold
from .records import sealing_context


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A tenant's configuration as of one version, with the keys to open its secrets."""

    configuration: Configuration
    keys: TenantKeys = field(repr=False)
    region: str
    loaded_s: float
    sealed: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    opened: dict[str, Any] = field(default_factory=dict, repr=False)
    consents: bool = False
    """Whether any consent exists; until then none is looked for."""
    published: str | None = None
    """The hash of the configuration that is known to be published, for anyone who verifies decisions."""
    holds: tuple[LegalHold, ...] = ()
    """The legal holds that stand: what they cover is stored without an end."""

    def secrets(self, record_id: str) -> Any:
        """Return the encrypted secrets of a record; None where it has none."""
        if record_id not in self.opened:
            sealed = self.sealed.get(record_id)
            context = sealing_context(self.region, self.configuration.tenant.id, record_id)
            plain = json.loads(decrypt(self.keys.secrets, sealed, context)) if sealed else None
            self.opened[record_id] = plain
        return self.opened[record_id]
