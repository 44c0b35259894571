"""Transfers: their ids, and what the audit entries of an event say of them. Pure.

A transfer's id leads to its event's entries: its first 14 characters are those that all of the event's entry ids share
(minute, then 40 bits of the event's hash), so that one range of one partition holds everything there is to know of it
and no row of its own is ever written.
"""

from __future__ import annotations

import hashlib

from .ids import TransferId, derived, encode, first_bits

PREFIX_LENGTH = 14
"""Characters of an entry's or a transfer's id that all entries of one event share."""


def entry_prefix(minute: int, event: str) -> str:
    """Return what the ids of an event's entries and transfers begin with, behind ``ent_`` or ``trf_``."""
    digest = hashlib.sha256(f"e\n{event}".encode()).digest()
    return encode(minute, 6) + encode(first_bits(digest, 40), 8)


def transfer_id(minute: int, event: str, route: str) -> TransferId:
    """Name the transfer of an event along a route.

    Args:
        minute: the minute of the event's entries.
    """
    digest = hashlib.sha256(f"t\n{event}\n{route}".encode()).digest()
    return TransferId(f"trf_{entry_prefix(minute, event)}{encode(first_bits(digest, 60), 12)}")


def delivery_id(transfer: str) -> str:
    """Name what is sent for a transfer: the same for every attempt."""
    return derived("dlv", transfer)
