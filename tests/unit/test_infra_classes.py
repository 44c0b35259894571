"""The class of audit tables: a new one has the stage's, and an existing one keeps its own. And the functions that log less."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import classes, locks
from tests.support.deployed import FRAGMENT

TABLES = sorted(
    resource["Properties"]["TableName"]
    for name, resource in FRAGMENT["Resources"].items()
    if name.startswith("AuditTable") and "TableName" in resource["Properties"]
)


class Described:
    """DynamoDB with some tables, by name with their class; None for a table whose description names none."""

    def __init__(self, found: dict[str, str | None]) -> None:
        self._found = found

    def describe_table(self, *, TableName: str) -> Any:
        if TableName not in self._found:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, "DescribeTable")
        found = self._found[TableName]
        return {"Table": {} if found is None else {"TableClassSummary": {"TableClass": found}}}


def _made(wanted: str, found: dict[str, str | None]) -> dict[str, str | None]:
    class_of = locks.TableLocks(Described(found), lambda _: None).class_of
    document = classes.classed(FRAGMENT, wanted, class_of)
    named = [resource["Properties"] for resource in document["Resources"].values() if "Properties" in resource]
    return {one["TableName"]: one.get("TableClass") for one in named if "TableName" in one}


def test_new_audit_tables_alone_have_the_wanted_class() -> None:
    made = _made(classes.INFREQUENT, {})

    assert {name for name, found in made.items() if found} == set(TABLES)
    assert {made[name] for name in TABLES} == {classes.INFREQUENT}
    assert set(_made(classes.STANDARD, {}).values()) == {None}


def test_an_existing_table_keeps_its_class_whatever_is_wanted() -> None:
    first, second = TABLES[:2]

    wanted = _made(classes.INFREQUENT, {first: None, second: classes.INFREQUENT})
    unwanted = _made(classes.STANDARD, {first: classes.STANDARD, second: classes.INFREQUENT})

    assert [wanted[first], wanted[second]] == [unwanted[first], unwanted[second]] == [None, classes.INFREQUENT]


def test_a_class_that_dynamodb_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "stages", lambda: {"eu1": {"audit_table_class": "CHEAP"}, "eu2": {}})

    with pytest.raises(ValueError, match="audit_table_class"):
        classes.table_class("eu1")
    assert classes.table_class("eu2") == classes.STANDARD


def test_the_functions_of_an_event_s_way_log_no_start_and_no_report() -> None:
    quiet = {
        name
        for name, resource in FRAGMENT["Resources"].items()
        if resource.get("Properties", {}).get("LoggingConfig") == {"LogFormat": "JSON", "SystemLogLevel": "WARN"}
    }

    assert quiet == {"Hooks", "Route", "Deliver"}
