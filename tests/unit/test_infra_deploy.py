"""The refusals of deploying and rehearsing before they touch anything, and the emulator's input."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import alarms, deploy, emulator, locks, package, rehearse, rolling, template

APP = template.ROOT / "tests" / "fixtures" / "infra"


@pytest.fixture
def without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def deployed_from(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(deploy, "package", lambda stage, out: package.package(stage, out, APP))
    monkeypatch.setattr("sys.argv", ["infra.deploy", *arguments])
    return deploy.main()


@pytest.mark.usefixtures("without_credentials")
def test_deploying_says_how_to_sign_in_when_there_are_no_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = deployed_from(monkeypatch, "eu1")

    assert status == 1
    assert "aws sso login" in capsys.readouterr().err


@pytest.mark.usefixtures("without_credentials")
def test_deploying_is_refused_when_the_stage_is_the_rehearsals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = deployed_from(monkeypatch, "rehearsal")

    assert status == 1
    assert "for rehearsals, not for AWS" in capsys.readouterr().err


def test_only_the_rehearsal_may_call_loopback_addresses_when_stages_are_read() -> None:

    stages = json.loads(template.CONFIG.read_text("utf-8"))["stages"]

    assert [name for name, s in stages.items() if "WAYBILL_ALLOW_CIDRS" in s["environment_variables"]] == ["rehearsal"]


def test_the_guardrails_name_the_cells_region_when_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = deployed_from(monkeypatch, "me1", "--guardrails")

    assert status == 0
    assert '"aws:RequestedRegion":"me-central-1"' in capsys.readouterr().out


@pytest.mark.parametrize("requirement", ["nothing", "not_packaged_anywhere"])
def test_a_package_is_refused_when_it_does_not_import_alone(tmp_path: Path, requirement: str) -> None:
    archive = tmp_path / "deployment.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("app.py", "" if requirement == "nothing" else "import pydantic")
    packaged = package.Package(template.cell_of("rehearsal"), tmp_path / "template.json", archive, 0, 0)

    if requirement == "nothing":
        rehearse.check_imports(packaged, tmp_path)
    else:
        with pytest.raises(rehearse.RehearsalFault, match="pydantic"):
            rehearse.check_imports(packaged, tmp_path)


def _record(handle: str, source: str = "aws:sqs") -> dict[str, Any]:
    return {"eventSource": source, "receiptHandle": handle, "attributes": {"SentTimestamp": "1"}}


def test_a_fifo_message_has_its_attributes_when_the_emulator_hands_it_over() -> None:
    event = {"Records": [_record("a"), _record("b")]}
    queue = {
        "messages": [
            {"receipt_handle": "b", "group_id": "g2", "seq": "2", "dedup_id": "d2"},
            {"receipt_handle": "a", "group_id": "g1", "seq": "1", "dedup_id": "d1"},
            {"receipt_handle": None, "group_id": "g3", "seq": "3", "dedup_id": "d3"},
        ]
    }

    emulator.complete(event, [queue])

    assert [r["attributes"] for r in event["Records"]] == [
        {"SentTimestamp": "1", "MessageGroupId": f"g{n}", "SequenceNumber": str(n), "MessageDeduplicationId": f"d{n}"}
        for n in (1, 2)
    ]


@pytest.mark.parametrize("event", [{"Records": [{"eventSource": "aws:dynamodb"}]}, {"rawPath": "/hooks/x"}, None])
def test_an_event_stays_as_it_is_when_no_queue_sent_it(event: Any) -> None:
    before = repr(event)

    emulator.complete(event, [{"messages": [{"receipt_handle": "a", "group_id": "g"}]}])

    assert repr(event) == before


class Stack:
    """CloudFormation with one stack of given parameters, or with none."""

    def __init__(self, parameters: list[str] | None) -> None:
        self.parameters = parameters
        self.given: list[dict[str, Any]] = []
        self.rollback: Any = None
        self.deleted = 0

    def describe_stacks(self, StackName: str) -> Any:
        if self.parameters is None:
            answer: Any = {"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}
            raise ClientError(answer, "DescribeStacks")
        parameters = [{"ParameterKey": key} for key in self.parameters]
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE", "Parameters": parameters}]}

    def create_change_set(self, **arguments: Any) -> None:
        self.given, self.rollback = arguments["Parameters"], arguments.get("RollbackConfiguration")

    def describe_change_set(self, **_: Any) -> Any:
        return {"Status": "CREATE_COMPLETE", "Changes": []}


class Alarms:
    """CloudWatch with every alarm that it is asked for, but the first."""

    def describe_alarms(self, AlarmNames: list[str]) -> Any:
        return {"MetricAlarms": [{"AlarmArn": f"arn:aws:cloudwatch:eu-central-1:1:alarm:{n}"} for n in AlarmNames[1:]]}


def deployment(tmp_path: Path, stack: Stack, **operator: str) -> deploy.Deployment:
    made = package.package("eu1", tmp_path, APP)
    found = deploy.Deployment(made, "ab" * 32, lambda _: None, operator_domain="cell.example", operator=operator)
    found.cloudformation = stack
    found.cloudwatch = Alarms()
    return found


@pytest.mark.parametrize("name", ["", "   "])
@pytest.mark.parametrize("known", [None, ["OperatorKeySha256", "OperatorDomain"]])
def test_deploying_is_refused_when_nobody_answers_for_the_cell(
    tmp_path: Path, known: list[str] | None, name: str
) -> None:
    made = deployment(tmp_path, Stack(known), OperatorName=name, OperatorContact="privacy@cell.example")

    with pytest.raises(deploy.DeployFault, match="WAYBILL_OPERATOR_NAME"):
        made._change_set("https://packages.example/template.json", locked=True)


def test_the_operator_is_asked_for_once_when_the_stack_knows_who_it_is(tmp_path: Path) -> None:
    stack = Stack(["OperatorKeySha256", "OperatorDomain", "OperatorName", "OperatorContact"])
    made = deployment(tmp_path, stack, OperatorCountry="DE")

    made._change_set("https://packages.example/template.json", locked=True)

    given = {p["ParameterKey"]: p.get("ParameterValue", "as it is") for p in stack.given}
    assert given["OperatorName"] == given["OperatorContact"] == "as it is"
    assert given["OperatorCountry"] == "DE"


def test_an_update_is_undone_by_the_alarms_that_the_stack_has(tmp_path: Path) -> None:
    stack = Stack(["OperatorKeySha256", "OperatorDomain", "OperatorName", "OperatorContact"])

    deployment(tmp_path, stack)._change_set("https://packages.example/template.json", locked=True)

    arns = [trigger["Arn"].rsplit(":", 1)[1] for trigger in stack.rollback["RollbackTriggers"]]
    assert arns == [f"waybill-eu1-{alarms.table()[name].name}" for name in rolling.WATCHED[1:]]
    assert len(rolling.WATCHED) <= 5
    assert stack.rollback["MonitoringTimeInMinutes"] == deploy.WATCH_MINUTES


@pytest.mark.parametrize(("stage", "lock"), [("eu1", "COMPLIANCE"), ("rehearsal", "GOVERNANCE")])
def test_a_stage_says_how_its_evidence_is_locked(stage: str, lock: str) -> None:
    assert locks.evidence_lock(stage) == lock
