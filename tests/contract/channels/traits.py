"""The traits of each channel, which its tests must cover and its documentation must state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The traits that a channel's tests must cover, and the channel's row in the documentation.

    Args:
        signs_body: the proof covers every byte of the body.
        signs_time: the proof carries a time, so a stale request is refused.
        batches: one request can hold several events.
        handshake: the platform asks before it sends.
        acknowledges: the exact body of a success.
        proof: how the platform proves that a request is its own, for the documentation.
        also: other successes, status and exact body, where the platform wants several.
        probes: the handshake is not signed: it proves nothing and holds nothing.
        ignores: there are genuine requests that are no event.
        proof_in_body: the proof is a field of the body, so a body that is no document has none and is rejected.
    """

    proof: str
    signs_body: bool = False
    signs_time: bool = False
    batches: bool = False
    handshake: str = ""
    acknowledges: str = ""
    also: tuple[tuple[int, str], ...] = ()
    probes: bool = False
    ignores: bool = True
    proof_in_body: bool = False


TRAITS: Mapping[str, Traits] = {
    "avito": Traits(proof="token in the address"),
    "bitrix24_openlines": Traits(proof="token in the body", batches=True),
    "discord": Traits(
        proof="Ed25519 with a time",
        signs_body=True,
        signs_time=True,
        handshake="pings",
        acknowledges='{"type":5}',
        also=((200, '{"type":6}'), (200, '{"type":8,"data":{"choices":[]}}'), (204, "")),
    ),
    "email_mailgun": Traits(proof="HMAC-SHA256 of a time and a token", signs_time=True),
    "email_postmark": Traits(proof="basic authentication"),
    "email_ses": Traits(proof="RSA signature of SNS", batches=True, handshake="`SubscriptionConfirmation`"),
    "freshchat": Traits(proof="RSA-SHA256", signs_body=True),
    "google_chat": Traits(proof="signed token (RS256)", signs_time=True, acknowledges="{}"),
    "instagram": Traits(proof="HMAC-SHA256", signs_body=True, batches=True, handshake="GET `hub.challenge`"),
    "intercom": Traits(proof="HMAC-SHA1", signs_body=True, batches=True, handshake="empty HEAD", probes=True),
    "kakaotalk": Traits(
        proof="token in the address",
        acknowledges='{"version": "2.0", "data": {}}',
        also=((200, '{"version": "2.0", "useCallback": true}'),),
    ),
    "line": Traits(proof="HMAC-SHA256", signs_body=True, batches=True),
    "livechat": Traits(proof="secret in the body", batches=True, proof_in_body=True),
    "matrix": Traits(proof="bearer token", batches=True, handshake="`ping`", acknowledges="{}"),
    "mattermost": Traits(proof="token in the body", acknowledges="{}", proof_in_body=True),
    "max": Traits(proof="secret header"),
    "messenger": Traits(proof="HMAC-SHA256", signs_body=True, batches=True, handshake="GET `hub.challenge`"),
    "ok": Traits(proof="token in the address"),
    "rocketchat": Traits(proof="token in the body", acknowledges="{}", proof_in_body=True),
    "signal": Traits(proof="token in the address", batches=True),
    "slack": Traits(
        proof="HMAC-SHA256 with a time",
        signs_body=True,
        signs_time=True,
        batches=True,
        handshake="`url_verification` event",
    ),
    "standard_webhooks": Traits(
        proof="HMAC-SHA256 or Ed25519, with a time", signs_body=True, signs_time=True, ignores=False
    ),
    "teams": Traits(proof="signed token (RS256) or HMAC-SHA256", batches=True),
    "telegram": Traits(proof="secret header", batches=True),
    "twilio": Traits(proof="HMAC-SHA1 with the address", signs_body=True, acknowledges="<Response/>"),
    "viber": Traits(proof="HMAC-SHA256", signs_body=True, handshake="`webhook` event"),
    "vk": Traits(proof="secret in the body", handshake="`confirmation` event", acknowledges="ok", proof_in_body=True),
    "vonage": Traits(
        proof="signed token (HS256) or HMAC, with a time",
        signs_body=True,
        signs_time=True,
        handshake="empty GET",
        probes=True,
    ),
    "wechat": Traits(
        proof="SHA-1 with a secret and a time", signs_time=True, handshake="GET `echostr`", acknowledges="success"
    ),
    "whatsapp": Traits(proof="HMAC-SHA256", signs_body=True, batches=True, handshake="GET `hub.challenge`"),
    "zalo": Traits(
        proof="SHA-256 with a secret", signs_body=True, batches=True, handshake="empty request", probes=True
    ),
}

_MESSAGING = frozenset({"message", "postback", "message_edit", "reaction", "referral", "optin", "read"})

REQUIRED_WORDS: Mapping[str, frozenset[str]] = {
    "avito": frozenset(
        {"text", "image", "link", "item", "location", "call", "deleted", "voice", "system", "appCall", "file", "video"}
    ),
    "bitrix24_openlines": frozenset(
        {
            *("ONIMBOTV2MESSAGEADD", "ONIMBOTV2MESSAGEUPDATE", "ONIMBOTV2MESSAGEDELETE", "ONIMBOTV2COMMANDADD"),
            *("ONIMBOTV2CONTEXTGET", "ONIMBOTV2REACTIONCHANGE", "ONIMBOTV2JOINCHAT"),
            *("ONIMBOTMESSAGEADD", "ONIMBOTMESSAGEUPDATE", "ONIMBOTMESSAGEDELETE", "ONIMBOTJOINCHAT", "ONIMCOMMANDADD"),
            *("ONOPENLINEMESSAGEADD", "ONOPENLINEMESSAGEUPDATE", "ONOPENLINEMESSAGEDELETE"),
            *("ONSESSIONSTART", "ONSESSIONFINISH", "ONIMCONNECTORDIALOGSTART", "ONIMCONNECTORDIALOGFINISH"),
            *("ONIMCONNECTORMESSAGEADD", "ONIMCONNECTORMESSAGEUPDATE", "ONIMCONNECTORMESSAGEDELETE"),
        }
    ),
    "discord": frozenset(
        {
            *("APPLICATION_COMMAND", "MESSAGE_COMPONENT", "MODAL_SUBMIT"),
            *("LOBBY_MESSAGE_CREATE", "LOBBY_MESSAGE_UPDATE", "LOBBY_MESSAGE_DELETE"),
            *("GAME_DIRECT_MESSAGE_CREATE", "GAME_DIRECT_MESSAGE_UPDATE", "GAME_DIRECT_MESSAGE_DELETE"),
        }
    ),
    "email_mailgun": frozenset(
        {
            "forward",
            "store",
            "mime",
            "accepted",
            "delivered",
            "opened",
            "failed",
            "rejected",
            "unsubscribed",
            "complained",
        }
    ),
    "email_postmark": frozenset({"Inbound", "Delivery", "Open", "Bounce", "SpamComplaint", "SubscriptionChange"}),
    "email_ses": frozenset(
        {
            *("Received", "Send", "Delivery", "Bounce", "Reject", "RenderingFailure", "Open", "Complaint", "Click"),
        }
    ),
    "freshchat": frozenset(
        {"message_create", "conversation_assignment", "conversation_resolution", "conversation_reopen"}
    ),
    "google_chat": frozenset(
        {
            *("MESSAGE", "ADDED_TO_SPACE", "REMOVED_FROM_SPACE", "CARD_CLICKED", "SUBMIT_FORM", "APP_COMMAND"),
        }
    ),
    "instagram": _MESSAGING,
    "intercom": frozenset(
        {
            *("conversation.user.created", "conversation.user.replied", "conversation.admin.replied"),
            *("conversation.admin.single.created", "conversation.operator.replied", "conversation.admin.closed"),
            *("conversation.admin.assigned", "conversation.rating.added", "conversation.contact.attached"),
            *("conversation_part.redacted", "conversation.deleted", "contact.unsubscribed", "contact.subscribed"),
        }
    ),
    "kakaotalk": frozenset(
        {
            "TEXT_INPUT",
            "IMAGE_UPLOAD",
            "VIDEO_UPLOAD",
            "CARD_BUTTON_MESSAGE",
            "CARD_BUTTON_BLOCK",
            "LIST_ITEM_MESSAGE",
            "LIST_ITEM_BLOCK",
            "LISTMENU_MESSAGE",
            "LISTMENU_BLOCK",
            "QUICKREPLY_BUTTON_MESSAGE",
            "QUICKREPLY_BUTTON_BLOCK",
        }
    ),
    "line": frozenset(
        {
            *("message", "messageEdited", "unsend", "postback", "follow", "unfollow", "join", "leave"),
            *("memberJoined", "memberLeft", "delivery"),
        }
    ),
    "livechat": frozenset(
        {
            *("incoming_chat", "incoming_event", "event_updated", "event_deleted", "incoming_rich_message_postback"),
            *("events_marked_as_seen", "user_added_to_chat", "user_removed_from_chat", "chat_deactivated"),
            *("chat_transferred", "thread_tagged", "message", "file", "filled_form", "rich_message", "system_message"),
        }
    ),
    "matrix": frozenset(
        {
            "m.room.message",
            "m.room.encrypted",
            "m.sticker",
            "m.reaction",
            "m.room.redaction",
            "m.room.member",
            "m.poll.start",
            "m.poll.response",
            "m.typing",
            "m.receipt",
        }
    ),
    "mattermost": frozenset({"post", "command"}),
    "max": frozenset(
        {
            *("message_created", "message_edited", "message_removed", "message_callback", "message_chat_created"),
            *("bot_started", "bot_stopped", "bot_added", "bot_removed", "user_added", "user_removed"),
            *("dialog_muted", "dialog_unmuted", "dialog_cleared", "dialog_removed", "chat_title_changed"),
            "bot_admin_permissions_changed",
        }
    ),
    "messenger": _MESSAGING | {"delivery"},
    "ok": frozenset({"MESSAGE_CREATED", "MESSAGE_CALLBACK", "CHAT_SYSTEM"}),
    "rocketchat": frozenset({"sendMessage", "fileUploaded", "edited"}),
    "signal": frozenset(
        {
            "dataMessage",
            "editMessage",
            "syncMessage",
            "receiptMessage",
            "typingMessage",
            "sentMessage",
            "reaction",
            "remoteDelete",
            "adminDelete",
            "pollVote",
            "pollTerminate",
            "pinMessage",
            "unpinMessage",
            "isDelivery",
            "isRead",
            "isViewed",
            "update",
        }
    ),
    "slack": frozenset(
        {
            *("message", "app_mention", "member_joined_channel", "member_left_channel", "reaction_added"),
            *("reaction_removed", "channel_rename", "message_changed", "message_deleted", "block_actions"),
            *("message_action", "shortcut", "view_submission", "view_closed", "slash_command", "bot_message"),
        }
    ),
    "standard_webhooks": frozenset({"order.paid", "unknown"}),
    "teams": frozenset(
        {
            *("message", "messageUpdate", "messageDelete", "reactionsAdded", "reactionsRemoved"),
            *("teamMemberAdded", "teamMemberRemoved", "channelRenamed", "installationUpdate", "invoke"),
            *("readReceipt", "typing", "endOfConversation"),
        }
    ),
    "telegram": frozenset(
        {
            *("message", "edited_message", "channel_post", "edited_channel_post", "business_message"),
            *("edited_business_message", "guest_message", "deleted_business_messages", "message_reaction"),
            *("message_reaction_count", "callback_query", "chosen_inline_result", "pre_checkout_query"),
            *("poll_answer", "my_chat_member", "chat_member", "chat_join_request", "business_connection"),
            *("chat_boost", "subscription", "users_shared", "migrate_to_chat_id", "suggested_post_declined", "gift"),
        }
    ),
    "twilio": frozenset(
        {
            *("sms", "whatsapp", "message", "text", "button", "interactive", "location", "audio"),
            *("queued", "sent", "delivered", "read", "undelivered", "failed"),
        }
    ),
    "viber": frozenset(
        {"message", "delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started"}
        | {"text", "picture", "video", "file", "sticker", "contact", "url", "location"}
    ),
    "vk": frozenset(
        {
            *("message_new", "message_reply", "message_edit", "message_allow", "message_deny"),
            *("message_typing_state", "message_event", "message_reaction_event", "message_read", "app_payload"),
        }
    ),
    "vonage": frozenset(
        {
            *("text", "image", "video", "audio", "file", "sticker", "vcard", "location", "contact", "reply"),
            *("button", "order", "reaction", "unsupported", "sms", "unicode", "binary", "messenger"),
            *("submitted", "delivered", "read", "rejected", "undeliverable", "accepted", "buffered"),
            *("failed", "expired"),
        }
    ),
    "wechat": frozenset(
        {
            *("text", "image", "voice", "video", "shortvideo", "file", "location", "link"),
            *("subscribe", "unsubscribe", "SCAN", "CLICK", "VIEW", "view_miniprogram", "LOCATION"),
            *("scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin"),
            *("location_select", "TEMPLATESENDJOBFINISH", "subscribe_msg_popup_event"),
            *("subscribe_msg_change_event", "subscribe_msg_sent_event", "miniprogrampage"),
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
    "zalo": frozenset(
        {
            *("user_send_text", "user_send_image", "user_send_gif", "user_send_link", "user_send_audio"),
            *("user_send_video", "user_send_sticker", "user_send_location", "user_send_file"),
            *("user_send_business_card", "user_send_group_text", "oa_send_text", "anonymous_send_text"),
            *("user_received_message", "user_seen_message", "user_reacted_message", "oa_reacted_message"),
            *("follow", "unfollow", "user_click_chatnow", "user_submit_info"),
        }
    ),
}
"""Every word of the platform's documentation for an occurrence in a conversation."""
