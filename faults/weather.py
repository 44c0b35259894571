"""The odds of every fault, drawn again for each round and dropped at its end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, fields


@dataclass
class Weather:
    """Odds, of each effect, webhook, batch or request."""

    death: float = 0.0
    throttle: float = 0.0
    lost_answer: float = 0.0
    server_error: float = 0.0
    slow_call: float = 0.0
    queue_refuses: float = 0.0
    queue_takes_half: float = 0.0
    queue_lost_answer: float = 0.0
    key_fault: float = 0.0
    bucket_refuses: float = 0.0
    message_twice: float = 0.0
    early_return: float = 0.0
    late_poll: float = 0.0
    webhook_twice: float = 0.0
    skewed_clock: float = 0.0
    cold_start: float = 0.0
    pump_skipped: float = 0.0
    pump_doubled: float = 0.0
    answer_fault: float = 0.0


ODDS = Weather(
    death=0.004, throttle=0.02, lost_answer=0.01, server_error=0.005, slow_call=0.01, queue_refuses=0.02,
    queue_takes_half=0.05, queue_lost_answer=0.02, key_fault=0.1, bucket_refuses=0.1,
    message_twice=0.05, early_return=0.03, late_poll=0.05,
    webhook_twice=0.08, skewed_clock=0.3, cold_start=0.05, pump_skipped=0.2, pump_doubled=0.15, answer_fault=0.25,
)  # fmt: skip
"""The odds of a round with average faults."""


def draw(randomness: random.Random) -> Weather:
    """Draw a round's weather: each fault absent, middling, or three times as bad."""
    return Weather(**{f.name: getattr(ODDS, f.name) * randomness.choice((0, 0.3, 1, 1, 1, 3)) for f in fields(Weather)})


@dataclass(frozen=True)
class Fault:
    """A fault that was injected, and when."""

    tick: int
    at_s: float
    kind: str
    where: str


class Faults:
    """Draws the faults and records them."""

    def __init__(self, randomness: random.Random, weather: Weather) -> None:
        self.weather = weather
        self.random = randomness
        self.told: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def draws(self, kind: str) -> bool:
        """Say whether a fault of a kind happens now."""
        odds: float = getattr(self.weather, kind)
        return odds > 0 and self.random.random() < odds

    def note(self, tick: int, at_s: float, kind: str, where: str) -> None:
        """Remember a fault."""
        self.told.append(Fault(tick, at_s, kind, where))
        self.counts[kind] += 1

    def calm(self) -> None:
        """End all faults."""
        self.weather = Weather()
