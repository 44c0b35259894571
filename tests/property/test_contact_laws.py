"""Laws of the claims of contacts: attempts that want the same names at once, in any order of their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations.contacts import ContactPerson, find_or_make
from simulation.scheduler import Scheduler
from tests.support.crm import Process, Rows

NAMES = ("a", "b", "c", "d")


class Crm:
    """A CRM that finds no contact which it has just made."""

    account = "nord"

    def __init__(self) -> None:
        self.made: list[ContactPerson] = []

    def find(self, person: ContactPerson) -> str | None:
        return None

    def make(self, person: ContactPerson) -> str:
        self.made.append(person)
        return str(len(self.made))


class Interleaved(Process):
    """A process whose every step on the shared memory takes the time that is drawn for it."""

    def __init__(self, rows: Rows, scheduler: Scheduler, steps: list[int]) -> None:
        super().__init__(rows)
        self.scheduler, self.steps = scheduler, iter(steps)

    def _effect(self, effect: Callable[[], object]) -> object:
        self.scheduler.pause(next(self.steps, 1))
        return super()._effect(effect)


@st.composite
def claimants(draw: st.DrawFn) -> tuple[tuple[str, ...], list[int]]:
    """Draw the names of an attempt's person, in any order, and how long each of its steps takes."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    return tuple(names), draw(st.lists(st.integers(1, 4), min_size=12, max_size=12))


def run(attempts: list[tuple[tuple[str, ...], list[int]]]) -> tuple[Crm, list[str | None], Rows]:
    """Make attempts at once. Return the CRM, the contact of each attempt (None: contended), and the shared memory."""
    scheduler, rows, crm = Scheduler(), Rows(), Crm()
    contacts: list[str | None] = [None] * len(attempts)

    def attempt(number: int, names: tuple[str, ...], steps: list[int]) -> None:
        try:
            memory = Interleaved(rows, scheduler, steps)
            contacts[number] = find_or_make(ContactPerson(names, None, "Person"), cast("Any", crm), memory)
        except DeliveryError as fault:
            assert fault.attempt_code == "contended"

    for number, (names, steps) in enumerate(attempts):
        scheduler.spawn(lambda number=number, names=names, steps=steps: attempt(number, names, steps))  # type: ignore[misc]
    scheduler.run(1_000)
    scheduler.close()
    return crm, contacts, rows


@given(st.lists(claimants(), min_size=2, max_size=3))
def test_one_attempt_gets_through_however_the_names_of_several_cross(
    attempts: list[tuple[tuple[str, ...], list[int]]],
) -> None:
    _, contacts, rows = run(attempts)

    assert any(contacts)
    assert rows.claims == {}


@given(claimants(), claimants())
def test_one_contact_is_made_when_two_attempts_share_a_name(
    first: tuple[tuple[str, ...], list[int]], second: tuple[tuple[str, ...], list[int]]
) -> None:
    shared = set(first[0]) & set(second[0])

    crm, contacts, _ = run([first, second])

    if shared:
        assert len(crm.made) == 1
        assert set(contacts) <= {"1", None}
