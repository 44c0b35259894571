"""An AWS client whose calls all pass through one function, which may count, delay, fail or end them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Around = Callable[[str, Mapping[str, Any], Callable[[], Any]], Any]
"""Takes an operation's name, its arguments and the function that makes the call. Returns the answer."""


class Client:
    """Passes each call of a client through ``around``."""

    def __init__(self, raw: Any, around: Around) -> None:
        self.meta = raw.meta
        self.exceptions = getattr(raw, "exceptions", None)
        self._raw, self._around = raw, around

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function, around = getattr(self._raw, name), self._around

        def call(**arguments: Any) -> Any:
            return around(name, arguments, lambda: function(**arguments))

        setattr(self, name, call)
        return call
