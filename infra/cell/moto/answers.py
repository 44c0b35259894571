"""moto's answers, without inspecting moto's classes again for each call.

For every call moto lists the methods of the class that answers it, and tries several names for every member that an answer
may have. Both follow from the service's description alone.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator

from moto.core import responses, serialize
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.core.utils import method_names_from_class

_try = XFormedAttributePicker.get_possible_keys


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Make moto remember both until the block ends."""
    responses.method_names_from_class = functools.cache(method_names_from_class)  # type: ignore[attr-defined]
    XFormedAttributePicker.get_possible_keys = _names  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        responses.method_names_from_class = method_names_from_class  # type: ignore[attr-defined]
        XFormedAttributePicker.get_possible_keys = _try  # type: ignore[method-assign]


def _names(picker: XFormedAttributePicker, context: AttributePickerContext) -> Iterable[str]:
    """Return the names that a member may have; those of a plain dictionary are kept at the member's description."""
    if type(context.obj) is not dict or picker.alias_providers is not serialize.DEFAULT_ALIAS_PROVIDERS:
        return _try(picker, context)
    known: dict[str, list[str]] = vars(context.shape).setdefault("names_tried", {})
    if context.key not in known:
        known[context.key] = list(_try(picker, context))
    return known[context.key]
