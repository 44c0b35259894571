from __future__ import annotations

from tests.support.engines import dynamodb_local_url, dynoxide_url, engine, ministack_url

__all__ = ["dynamodb_local_url", "dynoxide_url", "engine", "ministack_url"]
