"""Read and write all that is stored or queued as one release does. It runs on its own under the code of an earlier release.

Run as a script it answers each line ``[kind, text]`` of its input with the text as this release writes it back, in JSON; null
where the release cannot read it. Its first line of output tells the release's own samples and the fields of its models.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.task import DeliveryTask, WaitingTask
from chalicelib.core.envelope import TenantKeys, decrypt, unpack
from chalicelib.core.event.event import Conversation, Draft, EventKind
from chalicelib.core.log.leaf import deflate
from chalicelib.core.tenant.consents import Consent, Withdrawal
from chalicelib.core.tenant.intervals import Interval
from chalicelib.core.tenant.legal_holds import LegalHold
from chalicelib.core.tenant.records import Source, Tenant
from chalicelib.flow import messages
from chalicelib.flow.delivery import pump
from chalicelib.flow.hooks import receive
from chalicelib.flow.routing import route
from chalicelib.store import off_record_intervals, records, seal_requests
from chalicelib.store.entries import Entries
from chalicelib.store.source_cache import SourceContext

REGION = "eu-central-1"
_STORED: tuple[type[BaseModel], ...] = (Tenant, *records.RECORDS.values(), Consent, Withdrawal, LegalHold)
MODELS = {model.__name__: model for model in _STORED}
_KEYS = TenantKeys(b"k" * 32)
_AT = datetime(2026, 11, 30, 9, tzinfo=UTC)
_CLIENT = SimpleNamespace(meta=SimpleNamespace(region_name=REGION))
_SETTINGS = SimpleNamespace(region=REGION)


def read(kind: str, text: str) -> str:
    """Read a text as this release's functions do, and write it back."""
    if kind in MODELS:
        return str(records.parse(MODELS[kind], text).model_dump_json(by_alias=True))
    return _KINDS[kind](text)


def _interval(text: str) -> str:
    store = off_record_intervals
    return json.dumps([i.model_dump(mode="json") for i in store._read({"doc": text})])


def _task(text: str) -> str:
    return json.dumps(DeliveryTask.from_body(json.loads(text)).body())


def _waiting(text: str) -> str:
    return json.dumps(WaitingTask.from_row(json.loads(text)).row())


def _breaker(text: str) -> str:
    return json.dumps(breaker.document(breaker.from_document(json.loads(text))))


def _seal_request(text: str) -> str:
    return seal_requests._body(seal_requests._seal_request(text))


def _entry(text: str) -> str:
    told = json.loads(text)
    item = {**told, "leaf": deflate(told["leaf"].encode())}
    entry = Entries(_CLIENT, "waybill", REGION).read_item(item)
    return json.dumps({**told, "leaf": json.dumps(entry, separators=(",", ":"), sort_keys=True, ensure_ascii=False)})


def _inbox(text: str) -> str:
    runtime: Any = SimpleNamespace(
        config=SimpleNamespace(snapshot=lambda *_, **__: SimpleNamespace(keys=_KEYS)), settings=_SETTINGS
    )
    body = json.loads(text)
    work: Any = route._open(runtime, messages.QueueMessage("m", body, "g", "1", "r", 0, 1), {})
    sealed = base64.b64decode(body["sealed"])
    assert work is not None and unpack(decrypt(_KEYS.queue, sealed, f"{REGION}/{body['event']}")) == work.document
    return text


def _wake(text: str) -> str:
    body = json.loads(text)
    return json.dumps({"v": body["v"], **{name: body[name] for name in ("wake", "due", "tenant")}})


_KINDS = {
    "Intervals": _interval,
    "task": _task,
    "waiting": _waiting,
    "breaker": _breaker,
    "seal_request": _seal_request,
    "entry": _entry,
    "inbox": _inbox,
    "wake": _wake,
}


def samples() -> dict[str, str]:
    """Return the messages of this release that its own functions make."""
    source = Source(id="src_1", channel="telegram", name="shop", created_at=_AT)
    draft = Draft(
        kind=EventKind.SYSTEM,
        native_kind="x",
        dedupe_id="1",
        conversation=Conversation(id="7", direct=True),
        raw={"a": 1},
    )
    runtime: Any = SimpleNamespace(random=lambda size: b"r" * size, settings=_SETTINGS)
    (inbox,) = receive._messages(runtime, SourceContext("tnt_1", source, _KEYS, ()), [draft], _AT)
    return {"inbox": inbox.body, "wake": pump._wake("tnt_1#dst_1#cnv_1", "2026-11-30T09:00:00.000Z", _AT).body}


def fields() -> list[str]:
    """Return the fields of every stored model, ``Model.field``."""
    found: set[str] = set()
    waiting: list[Any] = [*MODELS.values(), Interval]
    while waiting:
        model = waiting.pop()
        for name, field in model.model_fields.items():
            if f"{model.__name__}.{name}" not in found:
                found.add(f"{model.__name__}.{name}")
                waiting += _models(field.annotation)
    return sorted(found)


def _models(kind: Any) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in getattr(kind, "__args__", ()) for model in _models(part)]


def main() -> None:
    """Answer the lines of the input."""
    print(json.dumps({"samples": samples(), "fields": fields(), "ignores": hasattr(records, "written")}), flush=True)
    for line in sys.stdin:
        kind, text = json.loads(line)
        try:
            print(json.dumps(read(kind, text)), flush=True)
        except Exception as fault:  # noqa: BLE001  (each text has its own outcome)
            print(json.dumps(None), flush=True)
            print(f"{kind}: {type(fault).__name__}: {fault}", file=sys.stderr)


if __name__ == "__main__":
    main()
