"""Destination kinds. One line in ``KINDS`` a kind; a kind's module is imported when the kind is first used."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from ..core.validation import check_word

if TYPE_CHECKING:  # the base loads TLS, which not every process needs
    from .base import DestinationKind

KINDS: Mapping[str, str] = {
    "amocrm": "amocrm",
    "bitrix24": "bitrix24",
    "chatwoot": "chatwoot",
    "discord": "discord",
    "eventbridge": "eventbridge",
    "firehose": "firehose",
    "http": "http",
    "hubspot": "hubspot",
    "kinesis": "kinesis",
    "s3": "s3",
    "slack": "slack",
    "sns": "sns",
    "sqs": "sqs",
    "telegram": "telegram",
}
"""The kind's name in the API → its module in this package."""


@functools.cache  # asked several times for each attempt, and the import system takes its time
def of_kind(kind: str) -> DestinationKind:
    """Return the module of a kind.

    Raises:
        Invalid: there is no such kind.
    """
    check_word(kind, KINDS, "body.kind", "unknown_kind")
    return cast("DestinationKind", importlib.import_module(f".{KINDS[kind]}", __name__))
