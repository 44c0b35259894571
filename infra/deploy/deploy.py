"""Deploy a stage: ``python -m infra.deploy STAGE [--plan | --at-once | --guardrails]``.

The numbers stand in the code:

1. Package the stage and check it (``infra.deploy.package``).
2. Put archive and template into the cell's own package bucket, in the cell's region, under their hashes.
3. Make a change set, show it, and stop where it would replace or remove what holds evidence, content or keys.
4. Execute it and follow its events. A new stack gets its locks by a second change set (``infra.deploy.locks``).
5. Protect the tables and lock the audit tables. The stack cannot hold that lock: it forbids the calls with which
   CloudFormation finishes a new table, and DynamoDB takes a policy that shuts out its author only with a confirmation,
   which CloudFormation cannot give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from . import alarms
from .classes import classed
from .locks import PARAMETER, TableLocks, creatable, locks, loses, same, tables
from .package import BadPackage, Package, package
from .rolling import CONFIGURATION, WATCHED, configuration, rolling
from .template import Document, UnknownStage, cell_of, guardrails

STACK_LIMIT_S: Final = 3600
_NOT_EMULATED: Final = ("AWS::Logs::QueryDefinition", "AWS::CloudWatch::Dashboard")
_ENDED_WELL: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
OPERATOR: Final = {
    "OperatorName": "WAYBILL_OPERATOR_NAME",
    "OperatorContact": "WAYBILL_OPERATOR_CONTACT",
}
"""Who runs the cell, as its answers name them: parameters of the template, and the variables that they are taken from."""
OPTIONAL: Final = {
    "OperatorCountry": "WAYBILL_OPERATOR_COUNTRY",
    "BreakGlassPermissionSet": "WAYBILL_BREAK_GLASS_PERMISSION_SET",
}
"""Parameters that may stay empty."""
WATCH_MINUTES: Final = 10
"""How long the alarms can undo an update after its last step."""
_NOTHING_TO_DO: Final = ("didn't contain changes", "No updates are to be performed")


class DeployFault(Exception):
    """The deployment stopped. The text says at which step and what to do."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack as it stands."""

    account: str
    outputs: dict[str, str]


@dataclass
class Deployment:
    """One stage's way into an account.

    ``endpoint`` is an emulator's address, or None for AWS. ``say`` takes each line of progress. ``at_once`` moves all calls to
    the new versions at once, and no alarm undoes the update: the way to mend a cell whose alarms ring.
    """

    made: Package
    operator_key_sha256: str
    say: Callable[[str], None]
    endpoint: str | None = None
    at_once: bool = False
    operator_domain: str = ""
    operator: Mapping[str, str] = field(default_factory=dict)
    """Who runs the cell: values by parameter, of ``OPERATOR`` and ``OPTIONAL``."""

    def __post_init__(self) -> None:
        self.shift = not self.at_once and self.endpoint is None  # the emulator has no CodeDeploy
        self.stack = f"waybill-{self.made.cell.name}"
        session: Any = boto3.session.Session(region_name=self.made.cell.region)
        config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10)

        def client(name: str) -> Any:
            return session.client(name, endpoint_url=self.endpoint, config=config)

        self.sts, self.s3, self.cloudformation, self.cloudwatch = map(
            client, ("sts", "s3", "cloudformation", "cloudwatch")
        )
        self.tables = TableLocks(client("dynamodb"), time.sleep)

    def run(self, plan_only: bool = False) -> Deployed:
        """Update the stack to the package.

        Raises:
            DeployFault: a step failed or was refused.
        """
        if self.endpoint is None and '"WAYBILL_ALLOW_CIDRS"' in self.made.template.read_text("utf-8"):
            raise DeployFault("this stage lets destinations name loopback addresses: it is for rehearsals, not for AWS")
        account = str(self.sts.get_caller_identity()["Account"])
        self.say(f"account {account}, region {self.made.cell.region}, stack {self.stack}")
        address = self._upload(account)
        # The emulator denies nothing by policy, and takes the change of a key's policy for another key.
        new = self._is_new() and self.endpoint is None
        if self._change_set(address, locked=not new):
            if plan_only:
                return Deployed(account, {})
            self._execute()
        if new and self._change_set(address, locked=True):
            self._execute()
        outputs = self._outputs()
        self._lock(account)
        return Deployed(account, outputs)

    # 2

    def _upload(self, account: str) -> str:
        bucket = f"waybill-{self.made.cell.name}-packages-{account}"
        self._bucket(bucket)
        archive = self.made.archive.read_bytes()
        archive_key = f"{hashlib.sha256(archive).hexdigest()}.zip"
        text = self.made.template.read_text("utf-8").replace(
            '"./deployment.zip"', json.dumps(f"s3://{bucket}/{archive_key}")
        )
        given = {"OperatorKeySha256": self.operator_key_sha256, "OperatorDomain": self.operator_domain, **self.operator}
        told = configuration(self._told(), given)
        document = creatable(rolling(json.loads(text), shift=self.shift, configuration=told))
        document = classed(document, self.made.table_class, self.tables.class_of)
        if self.endpoint is not None:
            document = emulated(document)
        template = json.dumps(document, separators=(",", ":")).encode()
        template_key = f"{hashlib.sha256(template).hexdigest()}.json"
        for key, content in ((archive_key, archive), (template_key, template)):
            self.s3.put_object(Bucket=bucket, Key=key, Body=content)
            self.say(f"uploaded {key[:12]}… ({len(content) / 1e6:.1f} MB)")
        if self.endpoint is not None:
            return f"{self.endpoint}/{bucket}/{template_key}"
        return f"https://{bucket}.s3.{self.made.cell.region}.amazonaws.com/{template_key}"

    def _told(self) -> str | None:
        """Return the values of the stack's parameters; None before the stack has any."""
        if self._status() in (None, "REVIEW_IN_PROGRESS"):
            return None
        stack = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        outputs = {o["OutputKey"]: str(o["OutputValue"]) for o in stack.get("Outputs", [])}
        return outputs.get(CONFIGURATION)

    def _bucket(self, bucket: str) -> None:
        try:
            self.s3.head_bucket(Bucket=bucket)
        except ClientError as fault:
            if fault.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise DeployFault(f"the bucket {bucket} cannot be used: {_said(fault)}") from fault
            where = self.made.cell.region
            # us-east-1 is the one region that S3 does not take as a location.
            at = {} if where == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": where}}
            self.s3.create_bucket(Bucket=bucket, **at)
            blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            self.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    # 3

    def _is_new(self) -> bool:
        """Say whether there is no stack yet. One whose first creation failed has nothing in it and is deleted.

        Raises:
            DeployFault: it cannot be changed.
        """
        status = self._status()
        if status is not None and status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            raise DeployFault(f"{self.stack} is {status}: wait until it has ended")
        if status == "ROLLBACK_FAILED":
            raise DeployFault(
                f"{self.stack} is {status}: read its events, delete what they name and the stack, deploy again"
            )
        if status == "ROLLBACK_COMPLETE":
            self.say(f"deleting {self.stack}, whose first creation failed and was undone")
            self.cloudformation.delete_stack(StackName=self.stack)
            self._wait_until_gone()
        return status in (None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")

    def _wait_until_gone(self) -> None:
        for _ in range(150):
            if self._status() is None:
                return
            time.sleep(2)
        raise DeployFault(f"{self.stack} was not deleted after five minutes")

    def _change_set(self, template_url: str, *, locked: bool) -> bool:
        """Make the change set; False if there is nothing to change."""
        new = self._status() in (None, "REVIEW_IN_PROGRESS")
        parameters = [
            self._parameter("OperatorKeySha256", self.operator_key_sha256, "WAYBILL_OPERATOR_KEY_SHA256", new),
        ]
        if self.endpoint is None:
            parameters.append(self._parameter("OperatorDomain", self.operator_domain, "WAYBILL_OPERATOR_DOMAIN", new))
            known = set() if new else self._parameters()  # an older stack does not have these parameters
            for key, variable in {**OPERATOR, **OPTIONAL}.items():
                value = self.operator.get(key, "").strip()
                if value or key in known or key not in OPTIONAL:
                    parameters.append(self._parameter(key, value, variable, key not in known))
        else:
            parameters.append({"ParameterKey": "OperatorDomain", "ParameterValue": "waybill.localhost"})
            parameters.append(
                {"ParameterKey": "OperatorName", "ParameterValue": "Rehearsal Cell Operator (fictitious)"}
            )
            parameters.append({"ParameterKey": "OperatorContact", "ParameterValue": "operator@waybill.example"})
        parameters.append({"ParameterKey": "EvidenceLock", "ParameterValue": self.made.evidence_lock})
        parameters.append({"ParameterKey": PARAMETER, "ParameterValue": str(locked).lower()})
        self.change_set = f"deploy-{time.time_ns()}"
        self.cloudformation.create_change_set(
            StackName=self.stack,
            ChangeSetName=self.change_set,
            ChangeSetType="CREATE" if new else "UPDATE",
            TemplateURL=template_url,
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=parameters,
            **({} if new else self._rollback()),
        )
        found = self._wait_for_change_set()
        if found is None:
            self.say("nothing to change")
            return False
        changes = [change["ResourceChange"] for change in found]
        for change in changes:
            self.say(f"  {change['Action']:<7} {change['ResourceType']:<34} {change['LogicalResourceId']}")
        lost = [change["LogicalResourceId"] for change in changes if loses(change)]
        if lost:
            raise DeployFault(
                f"refused: this would replace or remove {', '.join(lost)}. A closed year's table, or a key, goes by hand "
                "through the break-glass role (docs/deploy.md, Break-glass)"
            )
        return True

    def _rollback(self) -> Document:
        """Return the alarms that undo an update. An alarm that the stack does not have yet cannot be named."""
        if not self.shift:
            return {}
        names = [f"waybill-{self.made.cell.name}-{alarms.table()[alarm].name}" for alarm in WATCHED]
        found = self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        triggers = [{"Arn": alarm["AlarmArn"], "Type": "AWS::CloudWatch::Alarm"} for alarm in found]
        return {"RollbackConfiguration": {"RollbackTriggers": triggers, "MonitoringTimeInMinutes": WATCH_MINUTES}}

    def _parameter(self, key: str, value: str, variable: str, new: bool) -> Document:
        """Return a parameter with the value that is set, or that it keeps."""
        if value:
            return {"ParameterKey": key, "ParameterValue": value}
        if new:
            raise DeployFault(f"set {variable}: the stack has no value of it yet (docs/deploy.md, step 3)")
        return {"ParameterKey": key, "UsePreviousValue": True}

    def _wait_for_change_set(self) -> list[Document] | None:
        names = {"StackName": self.stack, "ChangeSetName": self.change_set}
        for _ in range(150):
            found = self.cloudformation.describe_change_set(**names)
            if found["Status"] == "CREATE_COMPLETE":
                changes: list[Document] = found.get("Changes", [])
                while "NextToken" in found:
                    found = self.cloudformation.describe_change_set(**names, NextToken=found["NextToken"])
                    changes = changes + found.get("Changes", [])
                return changes
            if found["Status"] == "FAILED":
                reason = found.get("StatusReason", "no reason given")
                if self.endpoint is None:  # the emulator's answer is not readable, and the emulator stops soon
                    self.cloudformation.delete_change_set(**names)
                if any(words in reason for words in _NOTHING_TO_DO):
                    return None
                raise DeployFault(f"the change set was refused: {reason}")
            time.sleep(2)
        raise DeployFault("the change set was not ready after five minutes")

    # 4

    def _execute(self) -> None:
        seen = {event["EventId"] for event in self._events()}
        self.cloudformation.execute_change_set(StackName=self.stack, ChangeSetName=self.change_set)
        ends = time.monotonic() + STACK_LIMIT_S
        failures: list[str] = []
        while time.monotonic() < ends:
            for event in reversed(self._events()):
                if event["EventId"] in seen:
                    continue
                seen.add(event["EventId"])
                line = f"{event['ResourceStatus']:<28} {event['LogicalResourceId']}"
                if "FAILED" in event["ResourceStatus"]:
                    failures.append(f"{line}: {event.get('ResourceStatusReason', '')}")
                if not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                    self.say(f"  {line}")
            status = self._status() or "gone"
            if not status.endswith("_IN_PROGRESS"):
                if status not in _ENDED_WELL:
                    raise DeployFault("\n".join([f"{self.stack} ended as {status}", *failures]))
                return
            time.sleep(0.5 if self.endpoint else 3)
        raise DeployFault(f"{self.stack} had not ended after {STACK_LIMIT_S} s; it goes on without this command")

    def _events(self) -> list[Document]:
        events: list[Document] = self.cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
        return events

    def _status(self) -> str | None:
        try:
            return str(self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["StackStatus"])
        except ClientError as fault:
            if fault.response["Error"]["Code"] == "ValidationError" and "does not exist" in _said(fault):
                return None
            raise

    def _parameters(self) -> set[str]:
        stack = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        return {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}

    def _outputs(self) -> dict[str, str]:
        stack = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        if self.endpoint is None and not stack.get("EnableTerminationProtection"):
            self.cloudformation.update_termination_protection(EnableTerminationProtection=True, StackName=self.stack)
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    # 5

    def _lock(self, account: str) -> None:
        template = json.loads(self.made.template.read_text("utf-8"))
        wanted = locks(template, self.made.cell.region, account)
        held = {table: self.tables.held(table) for table in wanted}
        for table, lock in held.items():
            if lock is not None and not same(lock, wanted[table]):
                raise DeployFault(f"{table} carries another lock; only the break-glass role may change it")
        done = {table.rsplit("/", 1)[1] for table, lock in held.items() if lock is not None}
        for name in tables(template):
            if name not in done and self.tables.protect(name):  # a locked table was protected before
                self.say(f"protected {name} from deletion")
        for table in (table for table, lock in held.items() if lock is None):
            if not self.tables.put(table, wanted[table]):
                raise DeployFault(f"{table} does not show its lock yet: deploy again in a minute")
            self.say(f"locked {table.rsplit('/', 1)[1]}")


def emulated(template: Document) -> Document:
    """Return a template without the kinds of resources that the emulator does not know."""
    resources = {name: r for name, r in template["Resources"].items() if r["Type"] not in _NOT_EMULATED}
    return {**template, "Resources": resources}


def _said(fault: ClientError) -> str:
    return str(fault.response["Error"].get("Message", fault))


def main() -> int:
    """Deploy the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="Deploy a stage to AWS.")
    parser.add_argument("stage")
    parser.add_argument("--plan", action="store_true", help="show the changes and stop")
    parser.add_argument("--at-once", action="store_true", help="move all calls at once, even while alarms ring")
    parser.add_argument("--guardrails", action="store_true", help="print the account's service control policy and stop")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        if arguments.guardrails:
            say(json.dumps(guardrails(cell_of(arguments.stage)), separators=(",", ":")))
            return 0
        with tempfile.TemporaryDirectory(prefix="waybill-deploy-") as scratch:
            made = package(arguments.stage, Path(scratch))  # 1
            say(f"packaged {made.zipped_bytes / 1e6:.1f} MB, unzipped {made.unzipped_bytes / 1e6:.1f} MB")
            deployment = Deployment(
                made,
                os.environ.get("WAYBILL_OPERATOR_KEY_SHA256", ""),
                say,
                at_once=arguments.at_once,
                operator_domain=os.environ.get("WAYBILL_OPERATOR_DOMAIN", ""),
                operator={key: os.environ.get(name, "") for key, name in {**OPERATOR, **OPTIONAL}.items()},
            )
            deployed = deployment.run(arguments.plan)
    except NoCredentialsError:
        print(
            "no AWS credentials found: run `aws sso login` or set AWS_PROFILE (docs/deploy.md, step 2)", file=sys.stderr
        )
        return 1
    except (BadPackage, UnknownStage, DeployFault, ClientError, BotoCoreError) as fault:
        print(f"not deployed: {fault}", file=sys.stderr)
        return 1
    for name, value in sorted(deployed.outputs.items()):
        say(f"{name} = {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
