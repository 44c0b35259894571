"""The steps that a platform's console leaves to a person: for channels without an API for webhooks, and the rest of those
with one. The values are filled in.

In a text, ``{url}`` is the webhook address, and another name in braces is a field of the source's secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLACK_MANIFEST: Final = """\
Create the app at https://api.slack.com/apps, From a manifest, with this text. For an app that is there, replace its
manifest at Features, App Manifest:

display_information:
  name: Waybill
features:
  bot_user:
    display_name: waybill
    always_online: false
oauth_config:
  scopes:
    bot: [app_mentions:read, channels:history, groups:history, im:history, mpim:history, reactions:read, channels:read,
      groups:read, users:read]
settings:
  event_subscriptions:
    request_url: {url}
    bot_events: [app_mention, message.channels, message.groups, message.im, message.mpim, reaction_added,
      reaction_removed, member_joined_channel, member_left_channel]
  interactivity:
    is_enabled: true
    request_url: {url}
  socket_mode_enabled: false"""
MATRIX_REGISTRATION: Final = """\
Write this registration file. Choose the as_token yourself, and put your server's name in place of example.org:

id: waybill
url: {url}
hs_token: "{hs_token}"
as_token: "..."
sender_localpart: waybill
rate_limited: false
receive_ephemeral: true
namespaces:
  users: [{{exclusive: false, regex: "@waybill:example\\\\.org"}}]
  rooms: [{{exclusive: false, regex: "!.*:example\\\\.org"}}]
  aliases: []"""

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "bitrix24_openlines": (
        "A bot in the lines: let your application call imbot.v2.Bot.register with eventMode webhook, isSupportOpenline true "
        "and webhookUrl {url}, then choose the bot in the settings of each open line.",
        "A connector of your own: let the application call event.bind for each OnImConnector and OnOpenLine event, with "
        "handler {url}",
    ),
    "email_ses": (
        "SNS console, the topic {topic_arn}: Create subscription, protocol HTTPS, endpoint {url}, raw message delivery off.",
        "SES, Email receiving, Rule sets, Create rule: Publish to Amazon SNS topic, encoding Base64.",
        "SES, Identities, Notifications: the same topic, with the original headers.",
    ),
    "freshchat": (
        "Open Freshchat, Admin, Configure, Webhooks: Webhook URL {url}, choose the events, Enable Webhook on, save.",
    ),
    "google_chat": (
        "Open https://console.cloud.google.com, APIs & Services, Google Chat API, Configuration.",
        "Connection settings, HTTP endpoint URL: {url}; Authentication audience as you gave it: {audience}",
    ),
    "intercom": (
        "Open the Developer Hub of Intercom, your app, Configure, Webhooks: Endpoint URL {url}",
        "Choose the topics conversation.user.created, conversation.user.replied, conversation.admin.replied, "
        "conversation.operator.replied, conversation.rating.added and contact.unsubscribed, then save.",
    ),
    "kakaotalk": (
        "Open https://business.kakao.com, your chatbot, Skills, Skill list, Create: URL {url}",
        "Choose the skill in each block of the scenario and in the fallback block, then deploy the bot.",
    ),
    "livechat": (
        "Open https://platform.text.com/console, your app, Chat webhooks: URL {url}, Secret key {secret_key}",
        "Choose incoming_chat, incoming_event, event_updated, event_deleted and incoming_rich_message_postback, then install "
        "the app.",
    ),
    "matrix": (
        MATRIX_REGISTRATION,
        "Name the file in app_service_config_files (Synapse), restart, and invite the users to the rooms.",
    ),
    "mattermost": (
        "Product menu, Integrations, Outgoing Webhooks, Add Outgoing Webhook: Content Type application/json, the channel or "
        "trigger words, Callback URLs {url}",
        "Save, copy the Token, and send it with POST /v1/sources/{{id}}/secret.",
    ),
    "rocketchat": (
        "Manage, Workspace, Integrations, New, Outgoing: Event Trigger Message Sent, Enabled, the channels, URLs {url}",
        "Token {token}; under Advanced Settings turn on Retry Failed Calls and Run On Edits, then save.",
    ),
    "signal": (
        "Run signal-cli-rest-api with MODE=json-rpc and RECEIVE_WEBHOOK_URL={url}",
        "Register a number (POST /v1/register/{{number}}, then /verify/{{token}}), or link it (GET /v1/qrcodelink).",
    ),
    "slack": (
        SLACK_MANIFEST,
        "Install App, and invite the bot into the channels that it reads.",
    ),
    "standard_webhooks": (
        "Give the sender the address {url}",
        "It shows a signing secret whsec_... or a public key whpk_...: send it with POST /v1/sources/{{id}}/secret.",
    ),
    "teams": (
        "A bot: Azure portal, your Azure Bot, Settings, Configuration: Messaging endpoint {url}. Channels: add Microsoft Teams.",
        "An outgoing webhook: Manage team, Apps, Create an outgoing webhook: Callback URL {url}",
    ),
    "wechat": (
        "Open https://mp.weixin.qq.com, Settings and development, Basic configuration, Server configuration, Change.",
        "URL {url}; Token {token}; EncodingAESKey {encoding_aes_key}; secure mode. Submit, then enable.",
    ),
    "zalo": (
        "Open https://developers.zalo.me, your app, Official Account, webhook settings: Webhook URL {url}",
        "Press the test, choose the events, and verify the domain of the address.",
    ),
}  # fmt: skip
"""By channel without an API for webhooks."""
USUAL: Final = ("Enter {url} as the webhook in the platform's console, as the channel's page says.",)
"""The step of a channel that has no row."""


def steps(channel: str, url: str, secret: Mapping[str, str]) -> list[str]:
    """Return the steps of a channel without an API for webhooks, with the values filled in."""
    return [step.format(url=url, **secret) for step in STEPS.get(channel, USUAL)]
