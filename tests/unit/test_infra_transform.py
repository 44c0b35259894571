"""What CloudFormation gets of a stage, after SAM's transform."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint import api as cfnlint

from infra.deploy import package
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
