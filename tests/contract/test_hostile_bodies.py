"""Every channel reads what strangers and persons send in bounded work: linear CPU, bounded memory, and no fault.

The CPU of a request is compared with a yardstick of this machine, a loop that takes about 5 ms, never with a time.
"""

from __future__ import annotations

import functools
import gc
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import receive
from tests.contract.channels.bombs import BODIES, TEXTS, places, posted, said
from tests.contract.channels.cases import Case, cases, inbound

SIZE = 12_500
YARDSTICKS = 2.5
"""For ``SIZE``: 50 ms for 100 KB, and as much again for other work on the machine."""
MEMORY_BYTES = 4 * 1024 * 1024
"""For ``SIZE``."""
TIMES = 8
"""How much larger the larger body is. Linear work grows as much, quadratic work 64 times."""
GROWTH = 24.0
SPOKEN = int(os.environ.get("WAYBILL_FUZZ", "300")) // 15


def cpu(work: Callable[[], Any]) -> float:
    gc.disable()  # its runs fall where they like
    begin = time.thread_time()
    try:
        work()
    finally:
        gc.enable()
    return time.thread_time() - begin


def _loop() -> None:
    total = 0
    for number in range(100_000):
        total += number


def yardstick() -> float:
    return min(cpu(_loop) for _ in range(3))


UNIT = yardstick()


def judged(kind: str, fixture: dict[str, Any]) -> tuple[Callable[[], Any], float]:
    """Return what judges a request, which raises where ``receive`` does, and its size in units of ``SIZE``."""
    request = inbound(fixture)
    secret = CHANNELS[kind].Secret.model_validate(fixture["secret"])
    return lambda: receive(CHANNELS[kind], request, [secret]), max(len(request.body) / SIZE, 1)


def peak_bytes(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_work(kind: str, name: str, large: dict[str, Any], small: dict[str, Any]) -> None:
    work, size = judged(kind, large)
    cost = cpu(work)
    if cost < UNIT:  # too little to hold much memory, too
        return
    less, part = judged(kind, small)
    growth = GROWTH / TIMES * size / part
    half, unit = cpu(less), UNIT
    if cost >= min(YARDSTICKS * size * unit, growth * half):  # perhaps another process was in the way
        cost, half, unit = min(cpu(work) for _ in range(9)), min(cpu(less) for _ in range(9)), yardstick()
    assert cost < YARDSTICKS * size * unit, (name, cost / unit)
    assert cost < growth * half or cost < unit, (name, cost / half)
    if cost > unit * size / TIMES:
        check_memory(name, work, size, peak_bytes(less) / part)


def check_memory(name: str, work: Callable[[], Any], size: float, peak: float) -> None:
    """Check what the small body needs, and the large one where quadratic growth could take it over the bound."""
    assert peak < MEMORY_BYTES, name
    if peak > MEMORY_BYTES / TIMES:
        assert peak_bytes(work) < MEMORY_BYTES * size, name


@functools.cache
def base(kind: str) -> Case:
    return next(case for case in cases(kind) if case.name == "text")


@pytest.mark.parametrize("kind", KINDS)
def test_work_on_a_strangers_body_is_linear_and_bounded(kind: str) -> None:
    for name in BODIES:
        pairs = zip(posted(base(kind), name, TIMES * SIZE), posted(base(kind), name, SIZE), strict=True)
        for large, small in pairs:
            check_work(kind, name, large, small)


MAILS = {"content": "mail", "body-mime": "mail", "body-html": "text", "HtmlBody": "text"}
"""The fields that hold an e-mail or its HTML, and the texts that each is tried with."""


def pairs(kind: str) -> list[tuple[str, str]]:
    """Return names of texts and of fields: all of those that hold an e-mail, some of the others."""
    found = [(text, field) for text in TEXTS for field in places(kind)]
    chosen = random.Random(kind).sample(found, min(SPOKEN, len(found)))
    mails = [(text, field) for text, field in found if field in MAILS and text.startswith(MAILS[field])]
    return list(dict.fromkeys([*chosen, *mails]))


@pytest.mark.parametrize("kind", KINDS)
def test_work_on_a_persons_text_is_linear_and_bounded(kind: str) -> None:
    for text, field in pairs(kind):
        check_work(kind, f"{text} in {field}", said(kind, field, text, TIMES * SIZE), said(kind, field, text, SIZE))
