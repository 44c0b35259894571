"""``waybill what-if`` over the evidence of a whole cell."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import cli
from tests.support.logs import let_seal, tar
from tests.support.world import world

FORBIDS = """
code = "DE-DRAFT"
countries = ["DE"]
reach = ["subject"]
time_zone = "Europe/Berlin"
gate = false

[[rule]]
id = "DE-DRAFT.1"
title = "A bill would forbid it"
title_ru = "Законопроект это запрещает"
ref = "draft bill, art. 1"
effective_from = 2020-01-01
effective_to = "open"
source = "draft"
checked_on = 2026-11-22
confidence = "unsure"
settled = false
kind = "forbid"
when = {delivers = true, channel = "telegram"}
effect = "deny"
"""


def test_every_delivery_would_be_refused_when_a_draft_forbids_the_messenger(tmp_path: Path, capsys: Any) -> None:
    with world() as w:
        w.connect()
        for number in range(3):
            w.post(number)
            w.run(timedelta(minutes=3))
        for _ in range(3):
            let_seal(w)
        (tmp_path / "evidence.tar").write_bytes(tar(w))
        (tmp_path / "damaged.tar").write_bytes(tar(w)[: len(tar(w)) // 2])
        recipient = w.recipient
    (tmp_path / "same").mkdir()
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "de_draft.toml").write_text(FORBIDS, encoding="utf-8")

    capsys.readouterr()  # the cell's log lines

    def asked(law: str, bundle: str) -> int:
        return cli.main(["what-if", "--law", str(tmp_path / law), "--bundle", str(tmp_path / bundle), "--json"])

    assert asked("draft", "evidence.tar") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["changed"] == [
        {"rule": "DE-DRAFT.1", "from": "allowed", "to": "refused", "count": 3, "by_country": {"DE": 3}, "recipients": [recipient]}
    ]  # fmt: skip
    assert (report["decided"], report["would_deny"]) == (3, 3)
    assert asked("same", "evidence.tar") == 0
    assert json.loads(capsys.readouterr().out)["decided"] == 3
    assert asked("same", "damaged.tar") == 2
    assert asked("same", "none.tar") == 2
    assert asked("nowhere", "evidence.tar") == 2
