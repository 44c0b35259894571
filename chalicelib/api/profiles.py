"""``/v1/profiles``: several declarations from one form, shown in full before anything is made."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from .. import law as laws
from ..core.tenant.records import Record
from ..flow.declare import profiles as profiles_flow
from ..flow.pagination import ListItem
from .endpoint import ApiCall, ListQuery, Resource, shown
from .problems import EndpointResponse

profiles = Resource("profiles", "Profiles")


class Answers(Record):
    """The answers to a profile's questions. ``accept`` is the digest of the result that the caller accepts."""

    answers: dict[str, Any]
    accept: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    def key(self) -> str | None:
        """Return what two tries to accept the same thing have in common."""
        if self.accept is None:
            return None
        text = json.dumps([self.accept, self.answers], sort_keys=True, ensure_ascii=True)
        return "profile-" + hashlib.sha256(text.encode()).hexdigest()


class ShownQuestion(Record):
    """A question, the type of its answer, and the article behind it."""

    name: str
    asks: str
    type: str
    because: str
    choices: list[str]
    titles: list[str] = Field(default_factory=list)
    titles_ru: list[str] = Field(default_factory=list)


class ShownProfile(Record):
    """A profile and its questions."""

    name: str
    title: str
    questions: list[ShownQuestion]


class PlannedCall(Record):
    """A call that would be made, with its declaration in plain words. ``@name`` is the id of an earlier record."""

    name: str
    call: str
    body: dict[str, Any]
    you_declare: str
    because: str


class ProfileOutcome(Record):
    """The declarations that the answers would make and the decision on them; after acceptance, ``created``."""

    would_create: list[PlannedCall] | None = None
    decision: dict[str, Any] | None = None
    missing: list[ShownQuestion] | None = None
    digest: str | None = None
    created: list[dict[str, Any]] | None = None


@profiles.endpoint(
    "GET", "/v1/profiles", operation_id="list_profiles", scope="read", query=ListQuery, answer=ShownProfile, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the profiles: forms that make several declarations at once."""
    after = call.position()
    return call.listed(
        ListItem(
            name,
            {
                "name": name,
                "title": profile.title,
                "questions": [question.model_dump(mode="json") for question in profile.question],
            },
        )
        for name, profile in laws.profiles().items()
        if name > after
    )


@profiles.endpoint(
    "POST",
    "/v1/profiles/{name}",
    operation_id="use_profile",
    scope="write",
    body=Answers,
    answer=ProfileOutcome,
    key_of=lambda body: body.key(),
    also=(201,),
)
def use(call: ApiCall) -> EndpointResponse:
    """Show or make the declarations of a profile.

    Without ``accept`` this shows what the answers would declare. With ``accept``, the digest of that result, it
    declares it.
    """
    profile = profiles_flow.of_name(call.params["name"])
    asked: Answers = call.body
    if asked.accept is None:
        return EndpointResponse(200, profiles_flow.ask(call.request, profile, asked.answers))
    made = profiles_flow.accept(call.request, profile, asked.answers, asked.accept)
    return EndpointResponse(201, {"created": [shown(record, **more) for record, more in made]})


RESOURCES = (profiles,)
"""What the API registers."""
