"""A stage is deployed, locked and refused where it must be, on an emulator that runs the template."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.deploy import deploy, locks, package, rehearse, template

APP = template.ROOT / "tests" / "fixtures" / "infra"
DIGEST = "0" * 64
AUDIT = "arn:aws:dynamodb:eu-central-1:000000000000:table/waybill-rehearsal-audit-2026"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    return package.package("rehearsal", tmp_path_factory.mktemp("package"), APP)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with rehearse.emulator(tmp_path_factory.mktemp("emulator"), "eu-central-1") as running:
            yield running


@pytest.fixture(scope="module")
def first(
    made: package.Package, address: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[deploy.Deployed, list[str]]:
    # The first creation fails at its last resource: nothing may stay that stops the second.
    broken = changed(made, tmp_path_factory.mktemp("broken"), _break)
    with pytest.raises(deploy.DeployFault, match="ROLLBACK_COMPLETE"):
        deploy.Deployment(broken, DIGEST, lambda line: None, endpoint=address).run()
    tables = boto3.client("dynamodb", "eu-central-1", endpoint_url=address).list_tables()["TableNames"]
    assert tables == []
    said: list[str] = []
    return deploy.Deployment(made, DIGEST, said.append, endpoint=address).run(), said


def _break(document: dict[str, Any]) -> None:
    every = [
        name for name, r in document["Resources"].items() if r["Type"].startswith(("AWS::DynamoDB", "AWS::KMS::Key"))
    ]
    document["Resources"]["Broken"] = {"Type": "AWS::None::Such", "DependsOn": every}


def changed(made: package.Package, tmp_path: Path, change: Any) -> package.Package:
    document = json.loads(made.template.read_text("utf-8"))
    change(document)
    path = tmp_path / "template.json"
    path.write_text(json.dumps(document), "utf-8")
    return dataclasses.replace(made, template=path)


def test_the_first_deployment_is_refused_when_the_operators_key_is_missing(
    made: package.Package, tmp_path: Path
) -> None:
    with rehearse.emulator(tmp_path, "eu-central-1") as empty, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")

        with pytest.raises(deploy.DeployFault, match="WAYBILL_OPERATOR_KEY_SHA256"):
            deploy.Deployment(made, "", lambda line: None, endpoint=empty).run()


def test_both_doors_answer_when_a_stage_is_deployed(first: tuple[deploy.Deployed, list[str]], address: str) -> None:
    outputs = first[0].outputs
    stand = rehearse.Stand(
        api_url=f"{address}/restapis/{outputs['RestAPIId']}/api/_user_request_",
        hooks_url=f"{address}/_aws/execute-api/{outputs['HooksApiId']}/$default",
        operator_key="",
        endpoint=address,
        region="eu-central-1",
    )

    rehearse.check_doors(stand)

    assert any(line.startswith("locked ") for line in first[1])


def test_the_audit_tables_are_locked_when_a_stage_is_deployed(
    first: tuple[deploy.Deployed, list[str]], address: str
) -> None:
    dynamodb = boto3.client("dynamodb", "eu-central-1", endpoint_url=address)

    policy = json.loads(dynamodb.get_resource_policy(ResourceArn=AUDIT)["Policy"])

    assert [s["Effect"] for s in policy["Statement"]] == ["Deny", "Deny"]
    assert policy["Statement"][0]["Resource"] == [AUDIT, f"{AUDIT}/index/*"]
    assert "${" not in json.dumps(policy)


def test_nothing_happens_when_the_same_package_is_deployed_again(
    first: tuple[deploy.Deployed, list[str]], made: package.Package, address: str
) -> None:
    said: list[str] = []

    again = deploy.Deployment(made, "", said.append, endpoint=address).run()

    assert again == first[0]
    assert not any(line.startswith("locked ") for line in said)


def test_a_change_that_loses_a_table_is_refused_when_it_is_planned(
    first: tuple[deploy.Deployed, list[str]], made: package.Package, address: str, tmp_path: Path
) -> None:
    without_people = changed(made, tmp_path, lambda document: document["Resources"].pop("PeopleTable"))

    with pytest.raises(deploy.DeployFault, match="PeopleTable"):
        deploy.Deployment(without_people, "", lambda line: None, endpoint=address).run()

    tables = boto3.client("dynamodb", "eu-central-1", endpoint_url=address).list_tables()["TableNames"]
    assert "waybill-rehearsal-people" in tables


def test_another_lock_is_refused_when_a_table_carries_one(
    first: tuple[deploy.Deployed, list[str]], made: package.Package, address: str, tmp_path: Path
) -> None:
    weaker = changed(made, tmp_path, lambda document: document["Metadata"]["AuditTablePolicy"]["Statement"].pop())

    with pytest.raises(deploy.DeployFault, match="only the break-glass role"):
        deploy.Deployment(weaker, "", lambda line: None, endpoint=address).run()


@pytest.mark.parametrize(
    ("change", "loses"),
    [
        ({"Action": "Add", "ResourceType": "AWS::DynamoDB::Table"}, False),
        ({"Action": "Modify", "ResourceType": "AWS::DynamoDB::Table", "Replacement": "False"}, False),
        ({"Action": "Modify", "ResourceType": "AWS::DynamoDB::Table", "Replacement": "True"}, True),
        ({"Action": "Modify", "ResourceType": "AWS::KMS::Key", "Replacement": "Conditional"}, True),
        ({"Action": "Remove", "ResourceType": "AWS::SQS::Queue"}, True),
        ({"Action": "Remove", "ResourceType": "AWS::Lambda::Function"}, False),
    ],
)
def test_a_loss_is_seen_when_a_change_replaces_or_removes(change: dict[str, str], loses: bool) -> None:
    assert locks.loses(change) is loses
