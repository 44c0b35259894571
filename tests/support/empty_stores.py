"""A cell's empty stores on moto, made once in a process and copied afterwards: making them takes longer than most tests."""

from __future__ import annotations

import copy
import functools
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from infra.cell import local
from infra.cell.engines import Engine, moto


def make(engine: Engine, cell: str, region: str, country: str) -> None:
    """Put a cell's key, empty tables and buckets on an engine; those that are there stay, with what they hold."""
    if engine.name != "moto" or any(_states(region)):
        local.make_stores(engine, cell, region, country)
        return
    made = copy.deepcopy(_made(cell, region, country))
    for state, found in zip(_states(region), made, strict=True):
        state.update(found)


@functools.cache
def _made(cell: str, region: str, country: str) -> list[dict[str, Any]]:
    """Return a copy of the states that hold a cell's empty stores."""
    with moto() as engine:
        local.make_stores(engine, cell, region, country)
        return copy.deepcopy([dict(state) for state in _states(region)])


def _states(region: str) -> list[dict[str, Any]]:
    buckets = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets
    keys = kms_backends[DEFAULT_ACCOUNT_ID][region].keys
    return [dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables, keys, buckets, s3_backends.bucket_accounts]
