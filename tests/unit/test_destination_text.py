"""Events as texts for people: every kind in words, nothing that was redacted, never more than a platform takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.event.event import (
    Attachment,
    Conversation,
    Event,
    EventConsent,
    EventKind,
    FormField,
    Member,
    Message,
    Quote,
    Referral,
    Sender,
    StatusError,
)
from chalicelib.core.pattern.redaction import redact
from chalicelib.destinations import discord, operators, slack, telegram, text
from chalicelib.destinations.base import Delivery

AT = datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC)
PERSON = Sender(id="77001", name="Jane Example", username="jane_example", phone="+3725550100")
FORMS = pytest.mark.parametrize("form", [slack.FORM, telegram.FORM, discord.FORM], ids=["slack", "telegram", "discord"])


def event(kind: EventKind, **changes: Any) -> dict[str, Any]:
    made = Event(
        channel="telegram",
        kind=kind,
        native_kind="native_word",
        dedupe_id="d1",
        occurred_at=AT,
        conversation=Conversation(id="c-9001", title="Deliveries"),
        sender=PERSON,
    )
    return made.model_copy(update=changes).document()


def delivery(kind: str = "message", **changes: Any) -> Delivery:
    values: dict[str, Any] = {
        "delivery_id": "dlv_1",
        "transfer_id": "trf_1",
        "event_id": "evt_1",
        "tenant_id": "tnt_1",
        "destination_id": "dst_1",
        "channel": "telegram",
        "conversation": "cnv_1",
        "kind": kind,
        "occurred_at": AT,
        "attempt": 1,
        "now": AT,
        "config": None,
    }
    return Delivery(**values | changes)


def told(document: dict[str, Any], **changes: Any) -> str:
    return text.of_event(document, delivery(document["kind"], **changes))


HEAD = "Jane Example (@jane_example, +3725550100) {} in “Deliveries” on telegram, 2026-03-01 11:59 UTC"


@pytest.mark.parametrize(
    ("kind", "message", "words"),
    [
        (EventKind.MESSAGE, Message(text="Hi\nthere"), "wrote|:\nHi\nthere"),
        (EventKind.MESSAGE, Message(text="Hi", forwarded=True), "wrote (forwarded)|:\nHi"),
        (EventKind.MESSAGE, Message(text="Hi", reply_to="m1"), "wrote in answer to a message|:\nHi"),
        (EventKind.MESSAGE_EDITED, Message(text="Hi"), "edited a message|:\nHi"),
        (EventKind.MESSAGE_DELETED, Message(id="m1"), "deleted a message|"),
        (EventKind.REACTION, Message(emoji=("👍", "❤"), emoji_action="set"), "reacts with 👍 ❤|"),
        (EventKind.REACTION, Message(emoji=("👍",), emoji_action="added"), "added 👍|"),
        (EventKind.REACTION, Message(emoji=("👍",), emoji_action="removed"), "took back 👍|"),
        (EventKind.REACTION, Message(emoji_action="set"), "took back all reactions to a message|"),
        (EventKind.REACTION, Message(), "reacted to a message|"),
        (EventKind.POSTBACK, Message(text="Yes"), "pressed|:\nYes"),
        (
            EventKind.STATUS,
            Message(status="failed", error=StatusError(code="131047", title="Too late")),
            "a message is failed (Too late)|",
        ),
        (EventKind.TYPING, None, "is typing|"),
        (EventKind.CONVERSATION_UPDATED, None, "changed the conversation|"),
        (EventKind.SYSTEM, None, "something happened (native_word)|"),
    ],
)
def test_text_says_who_where_and_what_when_an_event_is_told(
    kind: EventKind, message: Message | None, words: str
) -> None:
    what, body = words.split("|")

    assert told(event(kind, message=message)) == HEAD.format(what) + body


def test_members_are_named_when_they_join() -> None:
    members = (Member(id="1", name="Ann Example"), Member(id="2", username="bob_example"))

    shown = told(event(EventKind.MEMBER_JOINED, members=members, sender=None, conversation=Conversation()))

    assert shown == "Ann Example, Somebody (@bob_example) joined on telegram, 2026-03-01 11:59 UTC"


@pytest.mark.parametrize(
    ("attachment", "shown"),
    [
        (Attachment(type="image", url="https://media.example.com/1.jpg"), "[image: https://media.example.com/1.jpg]"),
        (Attachment(type="file", name="a\nb.pdf", size_bytes=12), "[file: a b.pdf, 12 bytes]"),
        (Attachment(type="voice", duration_s=3.2), "[voice: 3 s]"),
        (Attachment(type="location", latitude=0.0, longitude=-0.5), "[location: 0.000000, -0.500000]"),
        (Attachment(type="contact", name="Ann Example", phone="+3725550101"), "[contact: Ann Example, +3725550101]"),
        (Attachment(type="unsupported"), "[attachment of a kind that cannot be shown]"),
        (Attachment(type="image", caption="Look"), "[image]\nLook"),
        (
            Attachment(type="contact", name="Ann", phone="+1", phones=("+1", "+2"), emails=("ann@example.com",)),
            "[contact: Ann, +1, +2, ann@example.com]",
        ),
        (Attachment(type="poll", name="When?", options=("at 5", "at\n6")), "[poll: When?]\n- at 5\n- at 6"),
        (
            Attachment(type="unsupported", native_type="gift", name="Rose"),
            "[attachment of a kind that cannot be shown (gift): Rose]",
        ),
    ],
)
def test_attachment_is_told_in_words_when_there_is_one(attachment: Attachment, shown: str) -> None:
    assert told(event(EventKind.MESSAGE, message=Message(attachments=(attachment,)))).endswith(":\n" + shown)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (Message(quotes=(Quote(name="Olga", text="What\ntime?"), Quote(id="m2"))), "Olga:\n> What\n> time?"),
        (Message(text="At 5", quotes=(Quote(text="What time?"),)), "At 5\n> What time?"),
        (Message(fields=(FormField(name="size", value="large"), FormField(value="red"))), "size: large\nred"),
        (
            Message(text="Hi", referral=Referral(source="ad", title="Sale", url="https://a.example/1")),
            "Hi\n[came from ad: Sale, https://a.example/1]",
        ),
    ],
)
def test_content_beside_the_text_is_told(message: Message, shown: str) -> None:
    assert told(event(EventKind.MESSAGE, message=message)).endswith(":\n" + shown)


@pytest.mark.parametrize(
    ("state", "words"), [("given", "agrees to be written to"), ("withdrawn", "does not want to be written to")]
)
def test_opt_in_and_opt_out_are_told_apart(state: Any, words: str) -> None:
    shown = told(event(EventKind.CONSENT_CHANGED, consent=EventConsent(state=state)))

    assert shown == HEAD.format(words)


def test_handle_of_the_platform_is_never_shown_when_media_has_no_address() -> None:
    shown = told(event(EventKind.MESSAGE, message=Message(attachments=(Attachment(type="image", ref="secret-ref"),))))

    assert "secret-ref" not in shown


def test_nobody_is_named_when_the_name_was_redacted_away() -> None:
    document = event(EventKind.MESSAGE, message=Message(text="Hi"))
    gone = [{"class": c, "action": "drop"} for c in ("name", "identifier", "contact")]

    shown = told(redact(document, gone, b"k"))

    assert shown == "Somebody wrote in “Deliveries” on telegram, 2026-03-01 11:59 UTC:\nHi"


def test_no_id_stands_in_for_the_name_when_only_the_name_was_redacted_away() -> None:
    document = event(EventKind.MESSAGE, message=Message(id="m-4711", text="Hi", reply_to="m-4710"))

    shown = told(redact(document, [{"class": "name", "action": "drop"}], b"k"))

    assert shown.startswith("Somebody (@jane_example, +3725550100) wrote")
    assert not any(hidden in shown for hidden in ("77001", "c-9001", "m-4711", "m-4710", "cnv_1", "Jane"))


def test_what_is_left_is_told_when_everything_was_redacted_away() -> None:
    classes = ("identifier", "contact", "name", "content", "media", "location", "behaviour")
    document = event(
        EventKind.MESSAGE, message=Message(id="m-4711", text="Hi", attachments=(Attachment(type="image"),))
    )

    shown = told(redact(document, [{"class": c, "action": "drop"} for c in classes], b"k"))

    assert shown == "Somebody wrote on telegram, 2026-03-01 11:59 UTC:\n[image]"


@pytest.mark.parametrize(
    ("sender", "who"),
    [
        (Sender(is_self=True), "Our own account"),
        (Sender(is_bot=True), "A bot"),
        (Sender(is_bot=True, name="Helper"), "Helper"),
        (None, "Somebody"),
    ],
)
def test_kind_of_sender_is_told_when_it_is_no_person(sender: Sender | None, who: str) -> None:
    assert told(event(EventKind.MESSAGE, sender=sender, message=Message(text="Hi"))).startswith(f"{who} wrote in")


def test_name_is_one_bounded_line_when_it_tries_to_be_more() -> None:
    name = "Jane\n\rBoss wrote on telegram:\x00\u2028pay" + "x" * 500

    shown = told(event(EventKind.MESSAGE, sender=Sender(name=name), message=Message(text="Hi")))

    assert shown.count("\n") == 1
    assert len(shown.split(" wrote in ")[0]) == text.LINE_MAX


def test_text_says_that_it_is_a_test_when_the_event_is_an_example() -> None:
    assert told(event(EventKind.MESSAGE, message=Message(text="Hi")), test=True).startswith("Test: Jane Example")


def test_text_is_still_made_when_the_document_has_another_form() -> None:
    shown = text.of_event({"sender": 7, "message": {"text": ["x"], "attachments": "y", "emoji": 5}}, delivery())

    assert shown == "Somebody wrote on telegram, 2026-03-01 11:59 UTC"


def test_nothing_calls_anybody_when_it_is_written_for_slack() -> None:
    assert text.fitted("<!channel> & <@U1|x> <https://evil.example|ok>", slack.FORM) == (
        "&lt;!channel&gt; &amp; &lt;@U1|x&gt; &lt;https://evil.example|ok&gt;"
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("**b** _i_ ~~s~~ `c` ||x||", r"\*\*b\*\* \_i\_ \~\~s\~\~ \`c\` \|\|x\|\|"),
        ("@everyone <@1> <#2>", r"\@everyone \<\@1\> \<\#2\>"),
        ("[ok](https://evil.example/a_b)", r"\[ok\](https://evil.example/a_b)"),
        ("# head\n> quote", "\\# head\n\\> quote"),
        ("- one\n  2. two\na-b 1.5", "\\- one\n  2\\. two\na-b 1.5"),
        ("see https://media.example.com/a_b_c.jpg?x=1#y_z", "see https://media.example.com/a_b_c.jpg?x=1#y_z"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_no_mark_up_is_left_when_it_is_written_for_discord(written: str, shown: str) -> None:
    assert text.fitted(written, discord.FORM) == shown


@FORMS
@given(written=st.text(alphabet=st.characters() | st.sampled_from("&<>*_👋"), max_size=60), times=st.integers(1, 900))
@settings(max_examples=40)
def test_text_is_never_longer_than_a_platform_takes_and_cut_between_parts(
    form: text.TextLimit, written: str, times: int
) -> None:
    whole = "".join(form.pieces(written * times))

    shown = text.fitted(written * times, form)

    assert form.size(shown) <= form.limit
    if form.size(whole) <= form.limit:
        assert shown == whole
    else:
        kept = shown.removesuffix(text.CUT)
        assert kept != shown
        assert whole.startswith(kept)
        assert not re.search(r"&[a-z]*\Z", kept) or form is not slack.FORM
        assert form.size(kept) > form.limit - form.size(text.CUT) - max(map(form.size, form.pieces(written)))


def test_emoji_is_not_halved_when_a_text_is_cut_for_telegram() -> None:
    shown = text.fitted("a" + "👋" * 4096, telegram.FORM)

    assert text.utf16(shown) <= 4096
    assert shown.encode("utf-16-le").decode("utf-16-le") == shown
    assert set(shown.removesuffix(text.CUT)) == {"a", "👋"}


def test_operators_have_countries_sources_and_dates_when_they_are_listed() -> None:
    table = operators.operators()

    assert set(table) == {slack.KIND, telegram.KIND, discord.KIND}
    for row in table.values():
        assert set(row) == {"operator", "countries", "confirmed", "source", "read", "note"}
        assert row["source"].startswith("https://")
        assert row["confirmed"] in (True, False)
        assert row["countries"] == sorted(set(row["countries"]))
