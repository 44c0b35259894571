"""Slack's interactions and slash commands: buttons, menus, shortcuts, views.

Source: https://docs.slack.dev/interactivity/handling-user-interaction and
/interactivity/implementing-slash-commands (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.event.event import Conversation, Draft, EventKind, Message, Sender
from .fields import Json, id_, listing, mapping, optional_id, seconds, text


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


def _person(user: Json) -> Sender:
    return Sender(id=id_(user.get("id")), username=text(user.get("username")) or text(user.get("name")))


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
        raw=_raw(document),
    )


def _raw(document: Mapping[str, Any]) -> Json:
    # Whoever has the response address may write into the conversation: it is a credential, like the token.
    return {name: value for name, value in document.items() if name not in ("token", "response_url", "response_urls")}


def _name_of(channel: Any) -> str | None:
    name = text(channel)
    return None if name in ("directmessage", "privategroup") else name  # stand-ins, not names


def _actions(native: str, document: Json) -> Iterator[Draft]:
    trigger = id_(document.get("trigger_id"))
    container, source = mapping(document.get("container")), mapping(document.get("message"))
    actions = [mapping(action) for action in listing(document.get("actions"))]
    for index, action in enumerate(actions):
        chosen = mapping(action.get("selected_option"))
        label = mapping(chosen.get("text")) or mapping(action.get("text"))
        about = Message(
            id=optional_id(container.get("message_ts") or source.get("ts")),
            text=text(label.get("text")),
            payload=_value(action) or text(action.get("action_id")),
        )
        yield _pressed(
            native, document, trigger if len(actions) == 1 else f"{trigger}:{index}", action.get("action_ts"), about
        )


def _value(action: Json) -> str | None:
    chosen = listing(action.get("selected_options"))
    if chosen:
        return ",".join(id_(mapping(option).get("value")) for option in chosen)
    given = next((action[name] for name in VALUES if action.get(name)), None)
    return text(mapping(given).get("value")) if isinstance(given, dict) else text(given)


VALUES = (
    "value",
    "selected_option",
    "selected_user",
    "selected_channel",
    "selected_conversation",
    "selected_date",
    "selected_time",
)
"""Where an element keeps what was chosen. A list of choices is in ``selected_options``."""


def _shortcut(native: str, document: Json) -> Iterator[Draft]:
    about = Message(
        id=optional_id(document.get("message_ts") or mapping(document.get("message")).get("ts")),
        payload=text(document.get("callback_id")),
    )
    yield _pressed(native, document, id_(document.get("trigger_id")), document.get("action_ts"), about)


def _view(native: str, document: Json) -> Iterator[Draft]:
    view = mapping(document.get("view"))
    # A closed view has no trigger; it is closed once.
    name = optional_id(document.get("trigger_id")) or f"{id_(view.get('id'))}:{native}"
    yield _pressed(native, document, name, None, Message(payload=text(view.get("callback_id"))))


INTERACTIONS: Mapping[str, Callable[[str, Json], Iterator[Draft]]] = {
    "block_actions": _actions,
    "interactive_message": _actions,
    "message_action": _shortcut,
    "shortcut": _shortcut,
    "view_submission": _view,
    "view_closed": _view,
}
"""From the platform's word for an interaction to its reader. ``block_suggestion`` wants options, not a record."""


def command(form: Mapping[str, str]) -> Draft:
    """Read a slash command."""
    return Draft(
        kind=EventKind.POSTBACK,
        native_kind="slash_command",
        dedupe_id=id_(form.get("trigger_id")),
        conversation=conversation(form.get("channel_id"), title=_name_of(form.get("channel_name"))),
        sender=Sender(id=id_(form.get("user_id")), username=text(form.get("user_name"))),
        message=Message(text=text(form.get("text")), payload=id_(form.get("command"))),
        raw=_raw(form),
    )
