"""The abilities of all channels, as the two tables of ``docs/channels/README.md``.

``python -m tests.contract.channels.matrix`` writes the tables again. With kinds as arguments, it first signs the fixtures of
these again, except those whose proof is meant to be wrong (``rejected-``, ``stale-``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chalicelib.channels import KINDS
from chalicelib.core.event.event import EventKind

from .cases import FIXTURES, cases
from .signing import sign
from .traits import TRAITS

DOCS = Path(__file__).parents[3] / "docs" / "channels"
BEGIN, END = "<!-- matrix -->\n", "\n<!-- /matrix -->"
LEFT_ALONE = ("rejected-", "stale-")


def matrix() -> str:
    """Return the two tables of ``docs/channels/README.md``, from the traits and the fixtures."""
    lines = [
        "| channel | proof of origin | handshake | success is answered |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        traits = TRAITS[kind]
        answers = [(200, traits.acknowledges), *traits.also]
        answer = " or ".join(f"{status} `{body}`" if body else f"{status}, empty" for status, body in answers)
        lines.append(f"| [{kind}]({kind}.md) | {traits.proof} | {traits.handshake or 'none'} | {answer} |")
    lines += ["", "| channel | " + " | ".join(f"`{event.value}`" for event in EventKind) + " |"]
    lines += ["|---" * (len(EventKind) + 1) + "|"]
    for kind in KINDS:
        seen = {event["kind"] for case in cases(kind) for event in case.expect.get("events", ()) if "kind" in event}
        lines.append(f"| {kind} | " + " | ".join("yes" if event in seen else "–" for event in EventKind) + " |")
    return "\n".join(lines)


def _sign(kind: str) -> None:
    for path in sorted((FIXTURES / kind).glob("*.json")):
        if not path.name.startswith(LEFT_ALONE):
            fixture = json.loads(path.read_text(encoding="utf-8"))
            sign(kind, fixture)
            path.write_text(json.dumps(fixture, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for kind in sys.argv[1:]:
        _sign(kind)
    readme = DOCS / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    readme.write_text(before + BEGIN + matrix() + END + rest.partition(END)[2], encoding="utf-8")
