"""What CloudFormation gets of a stage, after SAM's transform."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint import api as cfnlint

from infra.deploy import package, rolling
from tests.support.sam import processed

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return package.package("eu1", tmp_path_factory.mktemp("eu1"), requirements=False).template.read_text("utf-8")


@pytest.fixture(scope="module")
def eu1(text: str) -> Resources:
    return processed(json.loads(text))


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: r for name, r in resources.items() if r["Type"] == kind}


def test_the_tenants_api_has_one_stage_and_it_is_throttled(eu1: Resources) -> None:
    (stage,) = of_type(eu1, "AWS::ApiGateway::Stage").values()
    (deployment,) = of_type(eu1, "AWS::ApiGateway::Deployment").values()

    assert "StageName" not in deployment["Properties"]
    assert [s["ThrottlingRateLimit"] for s in stage["Properties"]["MethodSettings"]] == [100]


def test_each_queue_that_starts_functions_has_a_bound(eu1: Resources) -> None:
    mappings = [m["Properties"] for m in of_type(eu1, "AWS::Lambda::EventSourceMapping").values()]
    queues = [m for m in mappings if ":sqs:" in json.dumps(m["EventSourceArn"])]

    assert len(queues) >= 4
    assert all(m["ScalingConfig"]["MaximumConcurrency"] >= 2 for m in queues)


def test_the_tripwire_names_what_it_could_not_keep_and_has_the_pinned_sdk(eu1: Resources) -> None:
    mappings = [m["Properties"] for name, m in eu1.items() if name.startswith("TripwireOn")]

    assert {json.dumps(m["DestinationConfig"]) for m in mappings} == {
        json.dumps({"OnFailure": {"Destination": {"Ref": "AlarmTopic"}}})
    }
    assert eu1["Tripwire"]["Properties"]["Code"] == eu1["Hooks"]["Properties"]["Code"]


def test_nothing_that_holds_data_goes_with_its_stack(text: str, eu1: Resources) -> None:
    said = cfnlint.lint(text, config=cfnlint.ManualArgs(regions=["eu-central-1"], include_checks=["I"]))

    assert [m.message for m in said if m.rule.id == "I3011"] == []
    kept = {name for name, r in eu1.items() if r.get("DeletionPolicy")}
    assert {eu1[name]["DeletionPolicy"] for name in kept} == {"RetainExceptOnCreate"}


# Releases roll


@pytest.fixture(scope="module")
def rolled(text: str) -> Resources:
    return processed(rolling.rolling(json.loads(text), shift=True))


def functions(text: str) -> list[str]:
    return [
        n for n, r in of_type(json.loads(text)["Resources"], "AWS::Serverless::Function").items() if n != "Tripwire"
    ]


def test_every_caller_of_a_function_calls_its_alias(text: str, rolled: Resources) -> None:
    for name in functions(text):
        alias = f"{name}Alias{rolling.ALIAS}"
        assert rolled[alias]["Type"] == "AWS::Lambda::Alias"
        straight = [{"Ref": name}, {"Fn::GetAtt": [name, "Arn"]}, f"${{{name}.Arn}}", f"${{{name}}}"]
        told = {caller: json.dumps(r) for caller, r in rolled.items() if r["Type"] in CALLERS}
        assert [c for c, t in told.items() if any(json.dumps(s).strip('"') in t for s in straight)] == [], name
        assert [c for c, t in told.items() if alias in t], name


CALLERS = (
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGatewayV2::Integration",
    "AWS::Events::Rule",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
)


def test_each_alias_moves_by_a_deployment_that_alarms_undo(text: str, rolled: Resources) -> None:
    groups = {name: r["Properties"] for name, r in of_type(rolled, "AWS::CodeDeploy::DeploymentGroup").items()}

    for name in functions(text):
        group = groups[f"{name}DeploymentGroup"]
        update = rolled[f"{name}Alias{rolling.ALIAS}"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        shift = json.dumps(group["DeploymentConfigName"])
        alarms = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        assert update["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}
        assert ("Canary10Percent5Minutes" in shift) == (name in rolling.SHIFTED)
        assert {*rolling.WATCHED, f"{name}ErrorsAlarm"} == set(alarms)
        assert len(alarms) <= 10
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert all(rolled[alarm]["Type"] == "AWS::CloudWatch::Alarm" for alarm in alarms)


@pytest.mark.parametrize("change", ["code", "parameter", "timeout", "environment"])
def test_a_version_is_published_when_anything_of_a_function_changes(text: str, change: str) -> None:
    told = rolling.configuration(None, {"OperatorKeySha256": "a", "OperatorContact": "x"})
    document = rolling.rolling(json.loads(text), shift=False, configuration=told)
    before = of_type(processed(document), "AWS::Lambda::Version")
    if change == "parameter":
        told = rolling.configuration(told, {"OperatorContact": "y"})
        document = rolling.rolling(json.loads(text), shift=False, configuration=told)
    if change == "code":
        document = json.loads(json.dumps(document).replace('"./deployment.zip"', '"s3://packages/another.zip"'))
    for name in functions(text) if change in ("timeout", "environment") else ():
        properties = document["Resources"][name]["Properties"]
        properties["Timeout"] += change == "timeout"
        properties["Environment"]["Variables"].update({"WAYBILL_MORE": "1"} if change == "environment" else {})

    after = of_type(processed(document), "AWS::Lambda::Version")

    assert len(before) == len(after) == len(functions(text))
    assert not set(before) & set(after)


def test_calls_move_at_once_when_nothing_may_stop_them(text: str) -> None:
    made = processed(rolling.rolling(json.loads(text), shift=False))

    assert of_type(made, "AWS::CodeDeploy::DeploymentGroup") == {}
    assert len(of_type(made, "AWS::Lambda::Alias")) == len(functions(text))


def test_the_configuration_changes_with_a_value_only() -> None:
    first = rolling.configuration(None, {"OperatorKeySha256": "a", "OperatorName": ""})

    assert rolling.configuration(first, {}) == rolling.configuration(first, {"OperatorKeySha256": "a"}) == first
    assert rolling.configuration(first, {"OperatorKeySha256": "b"}) != first
    assert json.loads(first).keys() == {"OperatorKeySha256"}
