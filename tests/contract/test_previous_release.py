"""The release before this one reads what this one writes, and this one reads what that one writes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from chalicelib.core.delivery import breaker
from chalicelib.core.log.audit import partition_of, subject_of
from chalicelib.core.log.entry import ACTS
from chalicelib.core.log.leaf import VERSION, leaf
from chalicelib.core.tenant.intervals import Interval
from chalicelib.flow.messages import READABLE
from chalicelib.store import off_record_intervals, records, seal_requests
from tests.fixtures.audit import made
from tests.support import release_forms
from tests.support.record_strategies import STORED
from tests.support.record_strategies import records as records_of
from tests.support.tasks import task_body

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "previous_release.toml"
SCRIPT = Path("tests/support/release_forms.py")
EXAMPLES = 15


class Previous(NamedTuple):
    """The previous release, as its own process answers."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    def read(self, kind: str, text: str) -> str | None:
        """Return the text as the previous release writes it back; None where that release cannot read it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([kind, text]) + "\n")
        self.process.stdin.flush()
        answer: str | None = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Previous]:
    commit = tomllib.loads(FIXTURE.read_text("utf-8"))["commit"]
    place = tmp_path_factory.mktemp("previous")
    made = subprocess.run(["git", "archive", commit, "chalicelib", "tests"], cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        pytest.fail(
            f"the previous release, commit {commit} of {FIXTURE.relative_to(ROOT)}, is not in this clone: fetch the whole "
            f"history (git fetch --unshallow). git says: {made.stderr.decode()}"
        )
    with tarfile.open(fileobj=BytesIO(made.stdout)) as archive:
        archive.extractall(place, filter="data")
    # A release answers with its own script. The first ones have none.
    script = place / SCRIPT if (place / SCRIPT).exists() else ROOT / SCRIPT
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=place,
        env={"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    yield Previous(process, json.loads(process.stdout.readline()))
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.mark.parametrize("name", [name for name in STORED if name != "Interval"])
def test_each_release_reads_the_records_of_the_other(previous: Previous, name: str) -> None:
    model = STORED[name]
    # A release that refuses unknown fields reads records without them: as long as no tenant uses a new one.
    known = None if previous.told["ignores"] else previous.told["fields"]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(records_of(model, known))
    def check(record: BaseModel) -> None:
        text = records.written(record)
        answer = previous.read(name, text)

        assert answer is not None, text
        told = json.dumps(_without_new(json.loads(text), json.loads(answer)))
        assert records.parse(model, answer) == records.parse(model, told)

    check()


def _without_new(value: Any, known: Any) -> Any:
    """Return a written value without the fields that the previous release does not know: it reads past them."""
    if isinstance(value, dict) and isinstance(known, dict):
        return {name: _without_new(inner, known[name]) for name, inner in value.items() if name in known}
    if isinstance(value, list) and isinstance(known, list) and len(value) == len(known):
        return [_without_new(inner, other) for inner, other in zip(value, known, strict=True)]
    return value


def test_each_release_reads_the_intervals_of_the_other(previous: Previous) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(records_of(Interval), max_size=3).map(tuple))
    def check(intervals: tuple[Interval, ...]) -> None:
        answer = previous.read("Intervals", off_record_intervals._written(intervals, (), None))

        assert answer is not None
        assert off_record_intervals._read({"doc": answer}) == intervals

    check()


_REF = st.from_regex(r"[a-z]{3}_[0-9a-z]{6}", fullmatch=True)
_TIME = st.just("2026-11-30T09:00:00.000Z")
TASKS = st.fixed_dictionaries(
    {},
    optional={
        "logs": st.lists(st.sampled_from(["2025", "2026"]), max_size=2, unique=True),
        "otr": st.just(True),
        "held_since": _TIME,
        "recipient": st.none() | st.just({"id": "rcp_1", "country": None, "processing": ["DE"]}),
        "destination": _REF,
        "later": st.integers(),
    },
).map(lambda changes: task_body(**changes))


@pytest.mark.parametrize("kind", ["task", "waiting"])
def test_each_release_carries_the_tasks_of_the_other(previous: Previous, kind: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(TASKS, st.integers(0, 9))
    def check(task: dict[str, Any], tries: int) -> None:
        waits = {"due_at": "2026-11-30T09:00:00.000Z", **({"tries": tries} if tries else {})}
        text = release_forms.read(kind, json.dumps({**task, **(waits if kind == "waiting" else {})}))
        answer = previous.read(kind, text)

        assert answer is not None and json.loads(answer) == json.loads(text)
        assert json.loads(release_forms.read(kind, answer)) == json.loads(text)

    check()


@pytest.mark.parametrize("kind", sorted(release_forms.samples()))
def test_each_release_reads_the_messages_of_the_other(previous: Previous, kind: str) -> None:
    ours, theirs = release_forms.samples()[kind], previous.told["samples"][kind]

    assert previous.read(kind, ours) is not None
    assert release_forms.read(kind, theirs)
    assert json.loads(theirs)["v"] in READABLE
    assert json.loads(theirs).keys() <= json.loads(ours).keys()


def test_each_release_reads_the_seal_requests_of_the_other(previous: Previous) -> None:
    text = seal_requests._body(seal_requests.SealRequest("tnt_1", "2026", ("06h2v#1", "06h2v#7"), 12))

    answer = previous.read("seal_request", text)

    assert answer is not None and json.loads(answer) == json.loads(text)


ENTRIES = {
    "decided": made.decided(),
    "attempted": made.attempted(made.decided()),
    **{kind: made.act(kind) for kind in ACTS},
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_each_release_reads_the_entries_of_the_other(previous: Previous, kind: str) -> None:
    text = row_of(ENTRIES[kind])

    answer = previous.read("entry", text)

    assert answer == release_forms.read("entry", text)


def row_of(entry: Any) -> str:
    key = {"pk": partition_of(entry["tenant"], entry["id"]), "sk": entry["id"], "log": entry["log"], "v": VERSION}
    return json.dumps({**key, "subject": subject_of(entry), "leaf": leaf(entry).decode()})


def test_each_release_reads_the_states_of_destinations_of_the_other(previous: Previous) -> None:
    at = datetime(2026, 11, 30, 9, tzinfo=UTC)
    given: dict[str, Any] = {"datetime | None": at, "int": 3, "bool": True}
    state = breaker.BreakerState(
        recent=((at, "a"),),
        notices=(breaker.HealthNotice("destination.failing", at, 50),),
        **{f.name: given[str(f.type)] for f in dataclasses.fields(breaker.BreakerState) if str(f.type) in given},
    )
    text = json.dumps(breaker.document(state))

    answer = previous.read("breaker", text)

    assert answer is not None and breaker.from_document(json.loads(answer)) == state
