"""How a release reaches the functions: behind an alias, a tenth of the calls first, and back if an alarm rings.

Each caller of a function calls its alias ``live``. A deployment publishes a version and moves the alias to it. SAM makes a
CodeDeploy deployment of each move. While it runs, an alarm moves the alias back, and CloudFormation undoes the update.

Source: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html
(read 2026-11-30)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

Document = dict[str, Any]

ALIAS: Final = "live"
SHIFTED: Final = ("Hooks", "APIHandler", "Route", "Deliver")
"""The functions whose calls move in two steps. The others are called once a minute or less, and move at once."""
CANARY: Final = "Canary10Percent5Minutes"
WATCHED: Final = ("HooksFaultsAlarm", "APIFaultsAlarm", "DeadLettersAlarm", "AuditBrokenAlarm", "SealsFailedAlarm")
"""The alarms that undo a release, beside each function's own errors. CodeDeploy takes ten, CloudFormation five.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html (read 2026-11-30)
"""


CONFIGURATION: Final = "Configuration"
"""The output that tells the values of parameters, shortened and hashed."""


def configuration(before: str | None, given: Mapping[str, str]) -> str:
    """Return the text of the output after a deployment.

    Args:
        before: the output's text before; None where there is none.
        given: the values that the deployment sets, by parameter. The others stay.
    """
    told = {name: hashlib.sha256(value.encode()).hexdigest()[:12] for name, value in given.items() if value}
    return json.dumps({**(json.loads(before) if before else {}), **told}, sort_keys=True)


def rolling(template: Document, *, shift: bool, configuration: str = "") -> Document:
    """Return a template whose callers call aliases.

    A version keeps the environment that it was published with, and SAM publishes one only where the template's text differs. So
    the text of the parameters is in each function's description.

    Args:
        configuration: tells the values of parameters, as the function of this name makes it.
        shift: let CodeDeploy move the aliases; False moves them at once, whatever rings.
    """
    names = [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and name != "Tripwire"  # which shares the archive only
    ]
    made: Document = json.loads(json.dumps(template))
    for name in names:
        properties = made["Resources"][name]["Properties"]
        digest = hashlib.sha256(configuration.encode()).hexdigest()[:12]
        properties.update(
            AutoPublishAlias=ALIAS, AutoPublishAliasAllProperties=True, Description=f"configuration {digest}"
        )
        if shift:
            alarms = [alarm for alarm in (*WATCHED, f"{name}ErrorsAlarm") if alarm in made["Resources"]]
            properties["DeploymentPreference"] = {
                "Type": CANARY if name in SHIFTED else "AllAtOnce",
                "Alarms": [{"Ref": alarm} for alarm in alarms],
            }
    made["Outputs"] = {**made.get("Outputs", {}), CONFIGURATION: {"Value": configuration or "{}"}}
    for resource in made["Resources"].values():
        if resource["Type"] in _CALLERS:
            resource["Properties"] = _aliased(resource["Properties"], names)
    return made


_CALLERS: Final = (
    "AWS::Serverless::Api",
    "AWS::Lambda::Permission",
    "AWS::ApiGatewayV2::Integration",
    "AWS::Lambda::EventSourceMapping",
)


def _aliased(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_aliased(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    for name in names:
        alias = f"{name}Alias{ALIAS}"
        if value in ({"Ref": name}, {"Fn::GetAtt": [name, "Arn"]}):
            return {"Ref": alias}
        if set(value) == {"Fn::Sub"} and f"${{{name}.Arn}}" in value["Fn::Sub"]:
            return {"Fn::Sub": value["Fn::Sub"].replace(f"${{{name}.Arn}}", f"${{{alias}}}")}
    return {key: _aliased(each, names) for key, each in value.items()}
