"""The main job as a client sees it: three tenants, five messengers, five recipients, and every verdict with its article.

The same journey runs on the local cell (``make demo``) and through the gateways of a deployed one (``make rehearse``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import rfc8785

from .gateway import Gateway, JourneyError, Tenant
from .messengers import POSTS, Json, new_secret
from .sink import Sink
from .situations import SITUATIONS, Recipient, Situation

Say = Callable[[str], None]

EVIDENCE = "sha256:" + "0a" * 32
CONTRACT = {"id": "dpa-1", "sha256": "0b" * 32, "valid_from": "2026-01-01", "valid_until": None}
CLASSES = ["identifier", "contact", "name", "content", "media", "location", "behaviour", "technical"]


@dataclass(frozen=True)
class Line:
    """One row of the table at the end."""

    tenant: str
    channel: str
    recipient: Recipient
    decision: str
    articles: tuple[str, ...]
    missing: tuple[str, ...]
    outcome: str
    as_expected: bool


@dataclass
class Made:
    """The resources that the journey has created for one situation."""

    situation: Situation
    tenant: Tenant
    sources: dict[str, tuple[str, Json]] = field(default_factory=dict)
    destinations: dict[str, Recipient] = field(default_factory=dict)
    recipients: dict[str, str] = field(default_factory=dict)
    events: int = 0


Prove = Callable[[list[Made], Say, float], None]
"""Runs at the end of the journey, with the number of seconds to wait for each result."""


def _set_up(api: Gateway, operator: Tenant, sink: Sink, situation: Situation) -> Made:
    created = operator(
        "POST",
        "/v1/tenants",
        {
            "name": situation.name,
            "edition": "enterprise",
            "tenant_class": "general",
            "retention": {"default_days": 30},
            "controller": {"legal_name": situation.name, "country": "DE", "contact": "privacy@tenant.example"},
        },
    )
    tenant = Tenant(api, created["key"]["secret"])
    made = Made(situation, tenant)
    for channel in situation.channels:
        secret = new_secret(channel)
        source = tenant(
            "POST",
            "/v1/sources",
            {
                "channel": channel,
                "name": f"{channel} of the shop",
                "secret": secret,
                "subject_country": "DE",
                "special": [],
            },
        )
        made.sources[channel] = (source["id"], secret)
    for kind in ("instruction", "contract"):
        basis = {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": EVIDENCE}
        tenant("POST", "/v1/bases", basis)
    for number, recipient in enumerate(situation.recipients):
        _connect(made, sink, recipient, f"{created['tenant']['id']}-{number}")
    return made


def _connect(made: Made, sink: Sink, recipient: Recipient, name: str) -> None:
    record = made.tenant(
        "POST",
        "/v1/recipients",
        {
            "legal_name": recipient.name,
            "contact": "dpo@recipient.example",
            "entity_country": recipient.country,
            "processing_countries": [recipient.country],
            "role": "processor",
            "contract": CONTRACT,
            "classes": CLASSES,
            "onward": [],
            "granted": recipient.granted,
        },
    )
    destination = made.tenant(
        "POST",
        "/v1/destinations",
        {"name": recipient.name, "kind": "http", "config": {"url": f"{sink.url}/{name}"}, "recipient": record["id"]},
    )
    sink.secrets[name] = destination["signing_secret"]
    made.destinations[destination["id"]] = recipient
    made.recipients[recipient.name] = record["id"]
    route: Json = {
        "name": f"messages to {recipient.name}",
        "pattern": {"kind": ["message"]},
        "destination": destination["id"],
        "purpose": "customer_support",
        "mode": recipient.mode,
        "transform": {"redact": list(recipient.redact)},
    }
    made.tenant("POST", "/v1/routes", route)


ENDED = {"allowed": "delivered", "redacted": "delivered", "held": "held", "refused": "refused"}


def post(hooks: Gateway, made: Made, now: int, say: Say) -> None:
    """Let each messenger post a message twice and forge it once.

    Raises:
        JourneyError: an answer differs from the expected one.
    """
    for number, (channel, (source, secret)) in enumerate(made.sources.items(), start=1):
        post = POSTS[channel](secret, number, now)
        for repeat in range(2):  # a platform that did not see our answer posts again
            status, answer, _ = hooks.call("POST", f"/hooks/{source}", post.body, post.headers)
            if status != 200:
                raise JourneyError(f"the {channel} webhook was answered {status}: {answer}")
            made.events += repeat == 0
        spoilt = {k: v[:-1] + ("0" if v[-1] != "0" else "1") for k, v in post.headers.items() if k != "Content-Type"}
        body = post.body if spoilt else post.body.replace(secret["secret"].encode(), b"guess")
        status, _, _ = hooks.call("POST", f"/hooks/{source}", body, {**post.headers, **spoilt})
        if status not in (401, 403):
            raise JourneyError(f"a forged {channel} webhook was answered {status}")
        say(f"  {channel:9} posted twice: one event; forged: {status}")


def rows(made: Made, timeout_s: float) -> list[Line]:
    """Wait until each transfer of a tenant has ended; return a row for each.

    Raises:
        JourneyError: too few ended in time, or there are too many.
    """
    wanted = made.events * len(made.situation.recipients)
    until = time.monotonic() + timeout_s
    while True:
        transfers = list(made.tenant.all("/v1/transfers"))
        settled = [t for t in transfers if t["outcome"] != "pending"]
        if len(settled) >= wanted:
            break
        if time.monotonic() > until:
            raise JourneyError(
                f"{made.situation.name}: {len(settled)} of {wanted} transfers ended in {timeout_s:.0f} s"
            )
        time.sleep(0.2)
    if len(transfers) != wanted:
        raise JourneyError(f"{made.situation.name}: {len(transfers)} transfers where there should be {wanted}")
    channels = {e["id"]: e["channel"] for e in made.tenant.all("/v1/events")}
    lines = []
    for transfer in transfers:
        recipient = made.destinations[transfer["destination"]]
        articles = tuple(r["ref"] for r in transfer["rules"])
        lines.append(
            Line(
                made.situation.name,
                channels[transfer["event"]],
                recipient,
                transfer["decision"],
                articles,
                tuple(transfer["missing"]),
                transfer["outcome"],
                transfer["decision"] == recipient.decision
                and transfer["outcome"] == ENDED[recipient.decision]
                and any(recipient.article in ref for ref in articles),
            )
        )
    return lines


def _check_sink(sink: Sink, made: Made, say: Say) -> int:
    """Return how many deliveries came in; only allowed or redacted events may have come, once each."""
    arrived = 0
    for number, recipient in enumerate(made.situation.recipients):
        name = next(n for n in sink.secrets if n.endswith(f"-{number}") and n in _names(sink, made))
        bodies = sink.received.get(name, [])
        wanted = made.events if recipient.decision in ("allowed", "redacted") else 0
        if len(bodies) != wanted:
            raise JourneyError(f"{recipient.name} received {len(bodies)} events, not {wanted}")
        if recipient.mode == "restrict":
            _pull(made, recipient.name, [body["data"] for body in bodies], say)
        elif any(("*" in body["data"]["message"]["text"]) != (recipient.mode == "redact") for body in bodies):
            raise JourneyError(f"{recipient.name} received data that the route redacts")
        arrived += len(bodies)
    return arrived


PULL_REFUSED_BY = "GDPR art. 44"
PULL_GROUNDS: tuple[Json, ...] = (
    {"kind": "scc", "law": "EU", "signed_on": "2026-01-01", "unmodified": True},
    {"kind": "transfer-impact-assessment"},
)


def _pull(made: Made, name: str, told: list[Json], say: Say) -> None:
    """Pull each event of a notice: first refused, then given once its grounds are declared, then refused as used."""
    if any(set(data) != {"id", "kind", "pull_url"} for data in told):
        raise JourneyError(f"{name} received more than links")
    paths = ["/pull/" + data["pull_url"].rpartition("/pull/")[2] for data in told]
    api = made.tenant.api
    for path in paths:
        status, answer, _ = api.call("GET", path)
        if status != 451 or not any(PULL_REFUSED_BY in rule["ref"] for rule in answer["rules"]):
            raise JourneyError(f"a pull by {name} without a ground was answered {status}")
    for basis in PULL_GROUNDS:
        bound = {"recipient": made.recipients[name], "valid_from": "2026-01-01", "evidence": EVIDENCE}
        made.tenant("POST", "/v1/bases", {**basis, **bound})
    for path in paths:
        (first, event, _), (second, _, _) = api.call("GET", path), api.call("GET", path)
        if (first, second) != (200, 410) or not event["message"]["text"]:
            raise JourneyError(f"pulls by {name} were answered {first}, and again {second}")
    say(f"  {name} got {len(paths)} links; pulled: 451 ({PULL_REFUSED_BY}), its clauses declared: 200, again: 410")


def _names(sink: Sink, made: Made) -> set[str]:
    own = made.tenant("GET", "/v1/tenant")["id"]
    return {name for name in sink.secrets if name.startswith(own)}


def _check_log(made: Made) -> int:
    """Compare every entry with its hash, and every transfer with its entries. Return how many entries there are."""
    entries = 0
    for event in made.tenant.all("/v1/events"):
        kinds = []
        for item in made.tenant.all(f"/v1/audit/entries?event={event['id']}"):
            entry = item["entry"]
            leaf = b"\0" + rfc8785.dumps(entry)
            _, _, headers = made.tenant.api.call(
                "GET", f"/v1/audit/entries/{entry['id']}", headers={"Authorization": f"Bearer {made.tenant.key}"}
            )
            if headers.get("etag") != f'"{hashlib.sha256(leaf).hexdigest()}"':
                raise JourneyError("an entry's hash is not that of its bytes")
            kinds.append(entry["kind"])
            entries += 1
        if kinds.count("decided") != 1:
            raise JourneyError("an event has not exactly one decision")
    return entries


def run(
    api: Gateway, hooks: Gateway, operator_key: str, say: Say, prove: Prove | None = None, timeout_s: float = 60
) -> list[Line]:
    """Make the whole journey and return the table's rows.

    Args:
        prove: runs at the end, when all transfers have ended.

    Raises:
        JourneyError: a result differs from the expected one.
    """
    sink = Sink()
    try:
        operator = Tenant(api, operator_key)
        say("Three tenants connect five messengers and five recipients")
        made = [_set_up(api, operator, sink, situation) for situation in SITUATIONS]
        say("The messengers post")
        now = int(time.time())
        for each in made:
            post(hooks, each, now, say)
        say("Every transfer ends")
        lines = [line for each in made for line in rows(each, timeout_s)]
        arrived = sum(_check_sink(sink, each, say) for each in made)
        say(
            f"  {arrived} deliveries arrived, each once, each signed; {sink.refused} with a signature that does not verify"
        )
        entries = sum(_check_log(each) for each in made)
        say(f"  {entries} log entries: one decision for each event, each hash matches its bytes")
        if sink.refused:
            raise JourneyError("a delivery's signature did not verify")
        if not all(line.as_expected for line in lines):
            raise JourneyError("a transfer did not end as the law and the routes say")
        if prove is not None:
            prove(made, say, timeout_s)
        return lines
    finally:
        sink.close()
