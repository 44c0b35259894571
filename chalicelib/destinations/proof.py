"""What a check of a tenant's role has shown. A module of its own, as the clients and the kinds both need it."""

from __future__ import annotations

from enum import StrEnum


class Proof(StrEnum):
    """The result of assuming a tenant's role twice: first without the external id, which must fail, then with it.

    ``open``: any tenant that may send through this cell could use the role. ``unknown``: AWS did not answer.
    """

    PROVEN = "proven"
    OPEN = "open"
    REFUSED = "refused"
    UNKNOWN = "unknown"
