"""Load the modules of a package when they are first used, in a process that uses few of those that it names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType, SimpleNamespace
from typing import Any


@contextmanager
def deferred(package: str) -> Iterator[None]:
    """Defer the loading of a package's modules that are imported meanwhile. A fault in one shows when it is used."""
    finder: Any = SimpleNamespace(find_spec=partial(_find, f"{package}."))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _find(prefix: str, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path, target) if name.startswith(prefix) else None
    if spec is not None and spec.loader is not None and spec.submodule_search_locations is None:  # no package
        spec.loader = LazyLoader(spec.loader)
    return spec
