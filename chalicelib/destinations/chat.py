"""What a chat takes messages by: a webhook of one channel, whose URL is a secret, or a bot that is told the channel."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, model_validator

from . import base, calls


class Config(base.Config):
    """One of the two ways in; a kind says what its URLs, tokens and channels look like, and where it posts."""

    url: SecretStr | None = None
    token: SecretStr | None = None
    channel: str | None = None
    api_url: calls.ApiUrl = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.url is None) == (self.token is None) or (self.token is None) != (self.channel is None):
            raise ValueError("give the url of a webhook, or a token and a channel")
        return self
