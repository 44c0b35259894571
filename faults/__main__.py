"""``python -m faults``: play rounds until the time is over, and say whether the promise was kept."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from .rounds import Outcome, Progress, play

EVENTS_A_ROUND = 600
SAY_S = 5.0
STORIES_SHOWN = 3


@dataclass
class Total:
    """The sums over all rounds."""

    began: float = field(default_factory=time.monotonic)
    rounds: int = 0
    events: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    simulated: timedelta = timedelta()
    said: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a round."""
        self.rounds += 1
        self.events += outcome.events
        self.simulated += outcome.simulated
        for mine, theirs in (
            (self.ends, outcome.ends), (self.faults, outcome.faults), (self.changes, outcome.changes),
            (self.invocations, outcome.invocations),
        ):  # fmt: skip
            mine.update(theirs)

    @property
    def took_s(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self.began

    def say(self, progress: Progress) -> None:
        """Print where a round is, now and then."""
        if time.monotonic() - self.said < SAY_S:
            return
        self.said = time.monotonic()
        events = self.events + progress.events
        print(
            f"{self.took_s:6.0f} s  round {self.rounds + 1:>3}  {progress.phase:<10} {progress.clock:%d %b %H:%M}"
            f"  events {events:>7}  ended {sum(self.ends.values()):>7}"
            f"  faults {sum(self.faults.values()) + sum(progress.faults.values()):>7}  {events / self.took_s:5.0f} events/s",
            file=sys.stderr,
            flush=True,
        )

    def summary(self) -> str:
        """Return the summary, as printed at the end."""
        rows = [
            ("rounds", str(self.rounds)),
            ("events", f"{self.events} ({self.events / max(self.took_s, 0.001):.0f} a second)"),
            ("simulated", str(self.simulated)),
            ("transfers", _counts(self.ends)),
            ("invocations", _counts(self.invocations)),
            ("changes", _counts(self.changes)),
            ("faults", _counts(self.faults)),
        ]
        return "\n".join(f"{name:<12} {text}" for name, text in rows)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common()) or "none"


def report(outcome: Outcome, engine: str, events: int) -> str:
    """Return the report of a round in which the promise was broken."""
    kinds = Counter(b.promise for b in outcome.broken)
    told: list[str] = []
    for promise in kinds:
        told += [str(b) for b in outcome.broken if b.promise == promise][:STORIES_SHOWN]
    again = f"python -m faults --round {outcome.seed} --a-round {events} --engine {engine}"
    return "\n".join((f"BROKEN in round {outcome.seed}: {_counts(kinds)}", *told, f"again: {again}"))


def main(arguments: list[str] | None = None) -> int:
    """Play rounds. Return 1 if the promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides every round")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--minutes", type=float, help="how long to run; 10 by default")
    limit.add_argument("--events", type=int, help="how many webhooks to post in all")
    limit.add_argument("--round", type=int, metavar="SEED", help="play this one round again")
    parser.add_argument("--a-round", type=int, default=EVENTS_A_ROUND, metavar="N", help="webhooks a round")
    parser.add_argument("--engine", default="moto", choices=("moto", "ministack"))
    parser.add_argument("--keep-going", action="store_true", help="play on after a broken promise")
    given = parser.parse_args(arguments)
    total, failed = Total(), False
    minutes = given.minutes if given.minutes is not None or given.events else 10.0
    try:
        number = 0
        while True:
            seed = given.round if given.round is not None else given.seed * 1_000_000 + number
            outcome = play(given.engine, seed, given.a_round, total.say)
            total.add(outcome)
            if outcome.broken:
                failed = True
                print(report(outcome, given.engine, given.a_round), flush=True)
            number += 1
            over = minutes is not None and total.took_s >= minutes * 60
            done = given.events is not None and total.events >= given.events
            if given.round is not None or over or done or (failed and not given.keep_going):
                break
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    print(total.summary())
    print("the promise was BROKEN" if failed else "the promise was kept")
    return 1 if failed else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a run
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "faults", *sys.argv[1:]])
    sys.exit(main())
