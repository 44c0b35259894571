"""moto's key service without the RSA key that it draws for every key, also for one that only wraps data keys.

Such a key costs a tenth of a second or two, as often as a cell is made, and nothing ever signs with it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from moto.kms import models
from moto.kms.utils import KeySpec, generate_private_key


@contextlib.contextmanager
def drawn_once() -> Iterator[None]:
    """Let all symmetric keys share their unused RSA key until the block ends; each keeps its own wrapping key."""
    models.generate_private_key = _drawn  # type: ignore[attr-defined]
    try:
        yield
    finally:
        models.generate_private_key = generate_private_key  # type: ignore[attr-defined]


_unused = functools.cache(generate_private_key)


def _drawn(key_spec: str) -> Any:
    return (_unused if key_spec == KeySpec.SYMMETRIC_DEFAULT else generate_private_key)(key_spec)
