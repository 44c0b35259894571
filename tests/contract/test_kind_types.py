"""Each channel and each destination kind satisfies its protocol: mypy compares the modules that are named here."""

from __future__ import annotations

from chalicelib import channels, destinations
from chalicelib.channels.base import Channel
from chalicelib.destinations.base import DestinationKind


def test_mypy_sees_every_channel_as_a_channel() -> None:
    from chalicelib.channels import (
        avito,
        bitrix24_openlines,
        discord,
        email_mailgun,
        email_postmark,
        email_ses,
        freshchat,
        google_chat,
        instagram,
        intercom,
        kakaotalk,
        line,
        livechat,
        matrix,
        mattermost,
        max,  # noqa: A004  (the channel MAX)
        messenger,
        ok,
        rocketchat,
        signal,
        slack,
        standard_webhooks,
        teams,
        telegram,
        twilio,
        viber,
        vk,
        vonage,
        wechat,
        whatsapp,
        zalo,
    )

    modules: tuple[Channel, ...] = (
        avito,
        bitrix24_openlines,
        discord,
        email_mailgun,
        email_postmark,
        email_ses,
        freshchat,
        google_chat,
        instagram,
        intercom,
        kakaotalk,
        line,
        livechat,
        matrix,
        mattermost,
        max,
        messenger,
        ok,
        rocketchat,
        signal,
        slack,
        standard_webhooks,
        teams,
        telegram,
        twilio,
        viber,
        vk,
        vonage,
        wechat,
        whatsapp,
        zalo,
    )

    assert sorted(module.KIND for module in modules) == sorted(channels.KINDS)


def test_mypy_sees_every_destination_kind_as_a_kind() -> None:
    from chalicelib.destinations import (
        amocrm,
        bitrix24,
        chatwoot,
        discord,
        eventbridge,
        firehose,
        http,
        hubspot,
        kinesis,
        s3,
        slack,
        sns,
        sqs,
        telegram,
    )

    modules: tuple[DestinationKind, ...] = (
        amocrm,
        bitrix24,
        chatwoot,
        discord,
        eventbridge,
        firehose,
        http,
        hubspot,
        kinesis,
        s3,
        slack,
        sns,
        sqs,
        telegram,
    )

    assert sorted(module.KIND for module in modules) == sorted(destinations.KINDS)
