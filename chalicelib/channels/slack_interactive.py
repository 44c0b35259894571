"""Slack's interactions and slash commands: buttons, menus, shortcuts, views.

Source: https://docs.slack.dev/interactivity/handling-user-interaction, /interactivity/implementing-slash-commands,
/reference/interaction-payloads and /reference/block-kit/block-elements (read 2026-12-01).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..core.event.event import Attachment, Conversation, Draft, EventKind, FormField, Message, Quote, Sender
from .fields import Json, compact, items, mapping, occurrence, optional_id, seconds, text
from .slack_content import content, file, said


def conversation(channel: Any, kind: Any = None, thread: Any = None, title: Any = None) -> Conversation:
    """Return where it happened; ``direct`` from the channel's type or, without one, from its id."""
    place = optional_id(channel)
    # D begins the id of a direct message; C and G those of channels, groups and group messages.
    direct = CHANNEL_TYPES.get(text(kind) or (place or "")[:1])
    return Conversation(id=place, direct=direct, thread=optional_id(thread), title=text(title))


CHANNEL_TYPES: Mapping[str, bool] = {
    "im": True,
    "app_home": True,
    "mpim": False,
    "channel": False,
    "group": False,
    "C": False,
    "G": False,
    "D": True,
}


def _person(user: Json) -> Sender | None:
    own_id, name = optional_id(user.get("id")), text(user.get("username")) or text(user.get("name"))
    return Sender(id=own_id, username=name) if own_id or name else None


def _pressed(native: str, document: Json, dedupe_id: str, stamp: Any, message: Message) -> Draft:
    container, channel = mapping(document.get("container")), mapping(document.get("channel"))
    source = mapping(document.get("message"))
    return Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=None if stamp is None else seconds(stamp),
        conversation=conversation(
            channel.get("id") or container.get("channel_id"),
            thread=source.get("thread_ts") or container.get("thread_ts"),
            title=_name_of(channel.get("name")),
        ),
        sender=_person(mapping(document.get("user"))),
        message=message,
        raw=without_credentials(document),
    )


def without_credentials(document: Mapping[str, Any]) -> Json:
    """Return what the platform sent without the tokens and addresses that open something."""
    # The holder of the response address may write into the conversation: it is a credential, like the tokens.
    return {name: value for name, value in document.items() if name not in CREDENTIALS}


CREDENTIALS = frozenset({"token", "bot_access_token", "response_url", "response_urls"})


def _name_of(channel: Any) -> str | None:
    name = text(channel)
    return None if name in ("directmessage", "privategroup") else name  # stand-ins, not names


def _actions(native: str, document: Json) -> Iterator[Draft]:
    trigger = optional_id(document.get("trigger_id"))
    container, source = mapping(document.get("container")), mapping(document.get("message"))
    actions = items(document.get("actions"))
    state = document.get("state") or mapping(document.get("view")).get("state")
    entered = _entered(state, [(action.get("block_id"), action.get("action_id")) for action in actions])
    for index, action in enumerate(actions or [{}]):
        label = mapping(mapping(action.get("selected_option")).get("text")) or mapping(action.get("text"))
        name = text(action.get("action_id")) or text(action.get("name"))  # older messages name an action so
        given = _values(action)
        about = Message(
            id=optional_id(container.get("message_ts") or source.get("ts") or document.get("message_ts")),
            text=text(label.get("text")),
            attachments=tuple(map(file, items(action.get("files")))),
            payload=text(",".join(filter(None, given))) or name,
            fields=(*(FormField(name=name, value=value) for value in given), *entered),
        )
        part = None if len(actions) < 2 else index
        yield _pressed(native, document, occurrence(trigger, part), action.get("action_ts"), about)


def _values(element: Json) -> list[str | None]:
    """Return what was picked in an element or filled into it; one that was cleared has a value that is None."""
    name = next((name for name in VALUES if name in element), None)
    if name is None:
        return []
    if name == "rich_text_value":
        return [said(element[name])]
    found = element[name] if isinstance(element[name], list) else [element[name]]
    return [_value(one) for one in found] or [None]


def _value(value: Any) -> str | None:
    if isinstance(value, dict):  # a choice, or a file
        value = value.get("value", value.get("id"))
    return compact(value) if isinstance(value, bool | dict | list) else text(value)


VALUES = (
    "selected_options",
    "selected_option",
    "selected_users",
    "selected_user",
    "selected_channels",
    "selected_channel",
    "selected_conversations",
    "selected_conversation",
    "selected_date",
    "selected_time",
    "selected_date_time",
    "rich_text_value",
    "files",
    "value",
)
"""The places in which an element keeps what was picked or filled in."""


def _entered(state: Any, but: Sequence[tuple[Any, Any]] = ()) -> tuple[FormField, ...]:
    """Return the fields of a form, named by their action; by block and action where two have the same action."""
    found = list(_elements(state))
    names = Counter(action for _, action, _ in found)
    return tuple(
        FormField(name=action if names[action] == 1 else f"{block}.{action}", value=value)
        for block, action, element in found
        if (block, action) not in but
        for value in _values(element)
    )


def _elements(state: Any) -> Iterator[tuple[str, str, Json]]:
    for block, actions in mapping(mapping(state).get("values")).items():
        for action, element in mapping(actions).items():
            yield block, action, mapping(element)


def _shortcut(native: str, document: Json) -> Iterator[Draft]:
    source = mapping(document.get("message"))
    found = content(source)
    own_id = optional_id(document.get("message_ts") or source.get("ts"))
    author = optional_id(source.get("user") or source.get("bot_id"))
    about = Message(
        id=own_id,
        payload=text(document.get("callback_id")),
        attachments=found["attachments"],
        quotes=(Quote(id=own_id, sender=author, text=found["text"]), *found["quotes"]) if source else (),
    )
    name = occurrence(optional_id(document.get("trigger_id")))
    yield _pressed(native, document, name, document.get("action_ts"), about)


def _view(native: str, document: Json) -> Iterator[Draft]:
    view = mapping(document.get("view"))
    # A closed view has no trigger; it is closed once.
    name = occurrence(optional_id(document.get("trigger_id"))) or occurrence(optional_id(view.get("id")), native)
    kept = text(view.get("private_metadata"))
    about = Message(
        payload=text(view.get("callback_id")),
        attachments=tuple(_uploads(view.get("state"))),
        fields=(*_entered(view.get("state")), *([FormField(name="private_metadata", value=kept)] if kept else ())),
    )
    yield _pressed(native, document, name, None, about)


def _uploads(state: Any) -> Iterator[Attachment]:
    for _, _, element in _elements(state):
        yield from map(file, items(element.get("files")))


def _dialog(native: str, document: Json) -> Iterator[Draft]:
    given = mapping(document.get("submission"))
    about = Message(
        payload=text(document.get("callback_id")),
        fields=tuple(FormField(name=name, value=_value(value)) for name, value in given.items()),
    )
    yield _pressed(native, document, "", document.get("action_ts"), about)


def unknown(native: str, document: Json) -> Iterator[Draft]:
    """Read an interaction that is not known: a person did something in the app."""
    about = _pressed(native, document, "", document.get("action_ts"), Message())
    yield about.model_copy(update={"kind": EventKind.SYSTEM, "message": None})


INTERACTIONS: Mapping[str, Callable[[str, Json], Iterator[Draft]]] = {
    "block_actions": _actions,
    "interactive_message": _actions,
    "message_action": _shortcut,
    "shortcut": _shortcut,
    "view_submission": _view,
    "view_closed": _view,
    "dialog_submission": _dialog,
    "dialog_cancellation": _dialog,
}
"""From the platform's word for an interaction to its reader."""

UNRECORDED: Mapping[str, str] = {
    **dict.fromkeys(("block_suggestion", "dialog_suggestion"), "a menu asks for its options while a person types"),
    "workflow_step_edit": "a workflow is configured, nothing was said",
}
"""Interactions that are no event, and why."""


def command(form: Mapping[str, str]) -> Draft:
    """Read a slash command."""
    return Draft(
        kind=EventKind.POSTBACK,
        native_kind="slash_command",
        dedupe_id=occurrence(optional_id(form.get("trigger_id"))),
        conversation=conversation(
            form.get("channel_id"), thread=form.get("thread_ts"), title=_name_of(form.get("channel_name"))
        ),
        sender=_person({"id": form.get("user_id"), "name": form.get("user_name")}),
        message=Message(text=text(form.get("text")), payload=optional_id(form.get("command"))),
        raw=without_credentials(form),
    )
