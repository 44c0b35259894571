"""What is true of each channel: what its tests must cover and what its documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """What must be tested of a channel, and what its row in the documentation says.

    Args:
        signs_body: the proof covers every byte of the body.
        signs_time: the proof carries a time, so a stale request is refused.
        batches: one request can hold several events.
        handshake: the platform asks before it sends.
        acknowledges: the exact body of a success.
        proof: how the platform proves that a request is its own, for the documentation.
        also: other successes, status and exact body, where the platform wants several.
    """

    proof: str
    signs_body: bool
    signs_time: bool
    batches: bool
    handshake: str
    acknowledges: str
    also: tuple[tuple[int, str], ...] = ()


TRAITS: Mapping[str, Traits] = {
    "avito": Traits("token in the address", False, False, False, "", ""),
    "discord": Traits(
        "Ed25519 with a time",
        True,
        True,
        False,
        "pings",
        '{"type":5}',
        also=((200, '{"type":6}'), (200, '{"type":8,"data":{"choices":[]}}'), (204, "")),
    ),
    "freshchat": Traits("RSA-SHA256", True, False, False, "", ""),
    "instagram": Traits("HMAC-SHA256", True, False, True, "GET `hub.challenge`", ""),
    "line": Traits("HMAC-SHA256", True, False, True, "", ""),
    "max": Traits("secret header", False, False, False, "", ""),
    "messenger": Traits("HMAC-SHA256", True, False, True, "GET `hub.challenge`", ""),
    "ok": Traits("token in the address", False, False, False, "", ""),
    "slack": Traits("HMAC-SHA256 with a time", True, True, True, "`url_verification` event", ""),
    "telegram": Traits("secret header", False, False, True, "", ""),
    "viber": Traits("HMAC-SHA256", True, False, False, "`webhook` event", ""),
    "vk": Traits("secret in the body", False, False, False, "`confirmation` event", "ok"),
    "whatsapp": Traits("HMAC-SHA256", True, False, True, "GET `hub.challenge`", ""),
}

_MESSAGING = frozenset({"message", "postback", "message_edit", "reaction", "referral", "optin", "read"})

REQUIRED_WORDS: Mapping[str, frozenset[str]] = {
    "avito": frozenset(
        {"text", "image", "link", "item", "location", "call", "deleted", "voice", "system", "appCall", "file", "video"}
    ),
    "discord": frozenset(
        {
            *("APPLICATION_COMMAND", "MESSAGE_COMPONENT", "MODAL_SUBMIT"),
            *("LOBBY_MESSAGE_CREATE", "LOBBY_MESSAGE_UPDATE", "LOBBY_MESSAGE_DELETE"),
            *("GAME_DIRECT_MESSAGE_CREATE", "GAME_DIRECT_MESSAGE_UPDATE", "GAME_DIRECT_MESSAGE_DELETE"),
        }
    ),
    "freshchat": frozenset(
        {"message_create", "conversation_assignment", "conversation_resolution", "conversation_reopen"}
    ),
    "instagram": _MESSAGING,
    "line": frozenset(
        {
            *("message", "messageEdited", "unsend", "postback", "follow", "unfollow", "join", "leave"),
            *("memberJoined", "memberLeft", "delivery"),
        }
    ),
    "max": frozenset(
        {
            *("message_created", "message_edited", "message_removed", "message_callback", "message_chat_created"),
            *("bot_started", "bot_stopped", "bot_added", "bot_removed", "user_added", "user_removed"),
            *("dialog_muted", "dialog_unmuted", "dialog_cleared", "dialog_removed", "chat_title_changed"),
        }
    ),
    "messenger": _MESSAGING | {"delivery"},
    "ok": frozenset({"MESSAGE_CREATED", "MESSAGE_CALLBACK", "CHAT_SYSTEM"}),
    "slack": frozenset(
        {
            *("message", "app_mention", "member_joined_channel", "member_left_channel", "reaction_added"),
            *("reaction_removed", "channel_rename", "message_changed", "message_deleted", "block_actions"),
            *("message_action", "shortcut", "view_submission", "view_closed", "slash_command", "bot_message"),
        }
    ),
    "telegram": frozenset(
        {
            *("message", "edited_message", "channel_post", "edited_channel_post", "business_message"),
            *("edited_business_message", "guest_message", "deleted_business_messages", "message_reaction"),
            *("message_reaction_count", "callback_query", "chosen_inline_result", "pre_checkout_query"),
            *("poll_answer", "my_chat_member", "chat_member", "chat_join_request", "business_connection"),
        }
    ),
    "viber": frozenset(
        {"message", "delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started"}
        | {"text", "picture", "video", "file", "sticker", "contact", "url", "location"}
    ),
    "vk": frozenset(
        {
            *("message_new", "message_reply", "message_edit", "message_allow", "message_deny"),
            *("message_typing_state", "message_event", "message_reaction_event", "message_read"),
        }
    ),
    "whatsapp": frozenset(
        {
            *("text", "image", "video", "audio", "document", "sticker", "location", "contacts", "button"),
            *("interactive", "reaction", "order", "system", "edit", "revoke", "unsupported", "request_welcome"),
            *("sent", "delivered", "read", "played", "failed", "smb_message_echoes"),
            *("group_participants_update", "group_lifecycle_update"),
        }
    ),
}
"""Every word that the platform's documentation names for a thing that happens in a conversation."""
