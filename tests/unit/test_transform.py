"""``select``: its results for an event, its immediate refusals, and the bounds that hold for any expression."""

from __future__ import annotations

import bisect
import json
import time
from typing import Any

import jmespath
import pytest

from chalicelib.core.errors import InvalidTransform
from chalicelib.core.pattern import transform
from chalicelib.core.pattern.transform import TransformFailed

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "kind": "message",
    "sender": {"id": "77", "name": "Ada", "phone": None},
    "message": {
        "text": "Grüße, мир 👋",
        "attachments": [{"type": "image", "size_bytes": 3}, {"type": "voice", "size_bytes": 1}],
        "emoji": [],
    },
}


def select(expression: str, document: Any = EVENT) -> Any:
    return transform.apply(transform.compile(expression), document)


@pytest.mark.parametrize(
    "expression",
    [
        "@",
        "sender.name",
        "{text: message.text, who: sender.name || sender.id, none: sender.phone}",
        "message.attachments[*].type",
        "message.attachments[?size_bytes > `1`].type",
        "sort_by(message.attachments, &size_bytes)[0]",
        "map(&type, message.attachments)",
        "sum(message.attachments[].size_bytes)",
        "join(', ', message.attachments[].type)",
        "to_string(sender)",
        "merge(sender, {kind: kind})",
        "[kind == 'message', kind != 'typing', !sender.phone, `1` < `2`]",
        "message.attachments[::-1][0].type",
        "sender.*",
        "max_by(message.attachments, &size_bytes).type | [@, @]",
        "contains(message.text, 'мир')",
        '`{"a": [1, 2.5, "x"]}`.a',
        "id < 'evt_2'",
        "not_null(sender.phone, sender.id)",
        "keys(sender)",
    ],
)
def test_result_is_the_librarys_when_no_bound_is_met(expression: str) -> None:
    assert select(expression) == jmespath.search(expression, EVENT)


def test_document_stays_as_it_is_when_it_is_selected_from() -> None:
    before = json.dumps(EVENT)

    select("merge(sender, {name: 'other'})")
    select("sort_by(message.attachments, &size_bytes)")

    assert json.dumps(EVENT) == before


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("", 0),
        ("a.", 2),
        ("a..b", 2),
        ("a b", 2),
        ("nope(@)", 0),
        ("a.nope(@)", 2),
        ("length(@, @)", 0),
        ("length()", 0),
        ("&a", 0),
        ("to_string(&a)", 10),
        ("[&a]", 1),
        ("map(a, &b)", 7),
        ("a[::0]", 2),
        ("`NaN`", 0),
        ("`1e999`", 0),
        ("`not json`", 0),
        ("a[" + "9" * 5000 + "]", 1000),
        ("a[" + "9" * 990 + "]", None),
        ("a" * 1001, 1000),
        ("!" * 1000, 0),
        ("(" * 51 + "a" + ")" * 51, 50),
        ("[" * 60 + "@" + "]" * 60, 0),
        ("`" + "[" * 60 + "]" * 60 + "`", 0),
        ("|".join(["[@]"] * 60), 0),
    ],
)
def test_expression_is_refused_with_its_place_when_it_breaks_a_rule(expression: str, position: int | None) -> None:
    if position is None:  # many digits are a number nevertheless
        assert transform.compile(expression).expression == expression
        return
    with pytest.raises(InvalidTransform) as refusal:
        transform.compile(expression)

    assert refusal.value.position == position
    assert refusal.value.errors[0]["loc"] == "body.transform.select"
    assert refusal.value.code == "invalid_transform"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("sender.phone", "nothing"),
        ("nothing.like.it", "nothing"),
        ("length(sender.phone)", "function"),
        ("join(',', [sender, id])", "function"),
        ("contains('abc', `1`)", "function"),
        ("to_number('nan')", "number"),
        ("to_number('1e999')", "number"),
        ("sum([`1e308`, `1e308`])", "number"),
        ("ceil(to_number('1e400'))", "number"),
        ("avg([to_number('" + "9" * 400 + "'), `1`])", "number"),
        ("abs(id)", "function"),
    ],
)
def test_transform_fails_with_its_reason_when_an_event_does_not_fit(expression: str, reason: str) -> None:
    with pytest.raises(TransformFailed) as failure:
        select(expression)

    assert failure.value.reason == reason
    assert "Ada" not in str(failure.value)


def test_ordering_of_a_text_and_a_number_is_null_when_they_are_compared() -> None:
    assert select("[id > `1`, `1` < id]") == [None, None]


LIST = {"a": list(range(3000)), "t": "x" * 150_000, "o": [{"k": str(n), "v": [n] * 20} for n in range(500)]}

HOSTILE = {
    "doubling": "|".join(["[@,@]"] * 45),
    "doubling objects": "|".join(["{a:@,b:@,c:@}"] * 45),
    "nested projections": "a[*].[$.a]".replace("$.a", "@") + "[]" * 20,
    "projections in projections": "map(&map(&map(&map(&@, `[1,2,3,4,5,6,7,8,9,0]`), `[1,2,3,4,5,6,7,8,9,0]`),"
    " `[1,2,3,4,5,6,7,8,9,0]`), [a, a, a, a][])",
    "texts of texts": "|".join(["to_string([@])"] * 45),
    "join": "join(t, map(&'x', a))",
    "joins": "|".join(["join(@, ['', '', ''])"] * 40).replace("join(@", "join(t", 1),
    "sort_by with large keys": "sort_by([a,a,a][], &to_string(`1`))",
    "keys that are texts of all": "map(&to_string([`1`]), [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a][])",
    "comparisons": "|".join(["{l: [@.l,@.l], r: [@.r,@.r], e: l==r}"] * 30).replace("@.l", "a").replace("@.r", "a"),
    "equal trees": "{l: [[[[a,a],[a,a]],[[a,a],[a,a]]]], r: [[[[a,a],[a,a]],[[a,a],[a,a]]]]} | "
    + "|".join(["{l: l, r: r, e: l == r}"] * 25),
    "contains": "[a,a,a,a,a,a,a,a] | map(&map(&contains(`[0]`, @), @), @)",
    "reverse": "|".join(["reverse(@)"] * 40).replace("reverse(@)", "reverse(t)", 1) + "|[@,@]",
    "flattening": "[a,a,a,a,a,a,a,a]" + "[]" * 22,
    "sorting": "|".join(["sort(@)"] * 40).replace("sort(@)", "sort([a,a,a,a,a][])", 1),
    "merging": "merge(" + ",".join(["o[0]"] * 190) + ")",
    "slices": "a" + "|[::-1]" * 45,
    "filters": "o[?v[?@ == `1`] && v[?@ == `2`] && v[?@ == `3`]] | [@,@,@,@][]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_expression_is_cut_or_ends_within_its_steps(name: str) -> None:
    compiled = transform.compile(HOSTILE[name])
    began = time.process_time()

    try:
        made = transform.apply(compiled, LIST)
        assert len(json.dumps(made)) <= 2 * transform.BODY_BYTES_MAX
    except TransformFailed as cut:
        assert cut.reason in ("work", "size")

    # The bound is counted, not timed; this checks only that a step is as cheap as assumed.
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (HOSTILE["doubling"], "size"),
        (HOSTILE["join"], "size"),
        (HOSTILE["texts of texts"], "work"),
        (HOSTILE["projections in projections"], "work"),
        (HOSTILE["flattening"], "work"),
        (HOSTILE["contains"], "work"),
        (f"[{', '.join(['t'] * 30)}]", "size"),
    ],
)
def test_work_and_size_are_cut_when_they_go_over(expression: str, reason: str) -> None:
    with pytest.raises(TransformFailed) as failure:
        select(expression, LIST)

    assert failure.value.reason == reason


def test_the_same_step_is_the_last_one_when_it_is_counted_again() -> None:
    def most(count: int) -> bool:
        try:
            select("a[].[@, @, @]", {"a": list(range(count))})
        except TransformFailed as cut:
            assert cut.reason == "work"
            return False
        return True

    border = bisect.bisect_left(range(20_000), True, key=lambda count: not most(count))

    assert [most(border - 1), most(border), most(border - 1)] == [True, False, True]


def test_large_event_is_selected_when_the_expression_is_an_ordinary_one() -> None:
    text = "слово " * 20_000

    made = select("{text: message.text, from: sender.name, kind: kind}", {**EVENT, "message": {"text": text}})

    assert made == {"text": text, "from": "Ada", "kind": "message"}
