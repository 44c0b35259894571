"""``waybill match``: every line is answered, in the documented words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.commands.match import answer


def line(pattern: str = '{"a": ["x"]}', event: str = '{"a": "x"}') -> str:
    return f'{{"pattern": {pattern}, "event": {event}}}'


NINES = "9" * 5000

MATCHING = {
    "plain": line(),
    "keys in the other order, and one more": '{"event": {"a": "x"}, "note": 1, "pattern": {"a": ["x"]}}',
    "equal keys, in the pattern": line(pattern='{"a": ["y"], "a": ["x"]}'),
    "equal keys, in the event": line(event='{"a": "y", "a": "x"}'),
    "equal keys, in the line": '{"pattern": 1, "pattern": {"a": ["x"]}, "event": 1, "event": {"a": "x"}}',
    "numbers in three forms": line('{"a": [300]}', '{"a": 3.0e2}'),
    "an integer of thousands of digits": line('{"a": [{"numeric": [">", 1]}]}', f'{{"a": {NINES}}}'),
    "a float beyond all bounds": line('{"a": [{"numeric": [">", 1]}]}', '{"a": 1e400}'),
    "a surrogate alone": line('{"a": ["\\ud800"]}', '{"a": "\\ud800"}'),
    "a surrogate pair": line('{"a": ["\\ud83d\\ude00"]}', '{"a": "😀"}'),
    "white space around": f"  {line()} \r\n",
    "a deep event": line(event=f'{{"b": {"[" * 500}{"]" * 500}, "a": "x"}}'),
}
OTHERWISE = {
    "another value": line(event='{"a": "y"}'),
    "an empty event": line(event="{}"),
    "a longer integer": line('{"a": [9]}', f'{{"a": {NINES}}}'),
    "an integer of thousands of digits, not excluded": line(
        '{"a": [{"anything-but": [1]}], "b": [1]}', f'{{"a": {NINES}}}'
    ),
}
WRONG = {
    "an empty line": ("", "$line"),
    "a word": ("hello", "$line"),
    "half an object": ('{"pattern": {', "$line"),
    "two objects": (line() + line(), "$line"),
    "a list": ("[]", "$line"),
    "a number": ("7", "$line"),
    "no event": ('{"pattern": {"a": ["x"]}}', "$line"),
    "no pattern": ('{"event": {"a": "x"}}', "$line"),
    "a byte order mark": ("\ufeff" + line(), "$line"),
    "NaN in the event": (line(event='{"a": NaN}'), "$line"),
    "Infinity in the pattern": (line(pattern='{"a": [Infinity]}'), "$line"),
    "-Infinity": (line(event='{"a": -Infinity}'), "$line"),
    "a control character in a string": (line(event='{"a": "\x01"}'), "$line"),
    "objects beyond reading": (line(event='{"a":' * 20_000 + "1" + "}" * 20_000), "$line"),
    "arrays beyond reading": (line(event="[" * 20_000 + "]" * 20_000), "$line"),
    "an unclosed depth": ("[" * 100_000, "$line"),
    "a pattern that is no object": (line(pattern="[]"), "$"),
    "a pattern that is null": (line(pattern="null"), "$"),
    "an event that is no object": (line(event="[]"), "$event"),
    "an event that is null": (line(event="null"), "$event"),
    "both are no objects": (line("1", "1"), "$"),
    "a bad pattern where the event could not match": (line('{"b": ["x"], "a": []}', '{"b": "y"}'), "$.a"),
    "a bad pattern and no event": (line('{"a": []}', "null"), "$.a"),
    "a deep pattern": (line(pattern='{"k":' * 400 + '["x"]' + "}" * 400), "$" + ".k" * 16),
    "a long pattern": (line(pattern=json.dumps({"a": ["x" * 5000]})), "$"),
    "a long number in the pattern": (line(pattern=f'{{"a": [{NINES}]}}'), "$"),
    "a number out of range in the pattern": (line(pattern='{"a": [1e400]}'), "$.a[0]"),
    "a surrogate alone as a key": (line(pattern='{"\\ud800": []}'), "$.\ud800"),
}


@pytest.mark.parametrize("name", MATCHING)
def test_answers_true_when_event_matches(name: str) -> None:
    assert answer(MATCHING[name]) == {"match": True}


@pytest.mark.parametrize("name", OTHERWISE)
def test_answers_false_when_event_does_not_match(name: str) -> None:
    assert answer(OTHERWISE[name]) == {"match": False}


@pytest.mark.parametrize("name", WRONG)
def test_names_the_place_when_line_is_wrong(name: str) -> None:
    text, path = WRONG[name]

    answered: dict[str, Any] = answer(text)

    assert set(answered) == {"error"}
    assert set(answered["error"]) == {"path", "reason"}
    assert answered["error"]["path"] == path
    assert json.loads(json.dumps(answered)) == answered
