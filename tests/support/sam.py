"""A packaged template as CloudFormation gets it: after the transform of SAM, which AWS runs and the linter brings along."""

from __future__ import annotations

import json
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def processed(template: dict[str, Any], region: str = "eu-central-1") -> dict[str, dict[str, Any]]:
    """Return the resources that SAM makes of a template, by logical id."""
    text = json.dumps(template).replace('"./deployment.zip"', '"s3://packages/archive.zip"')
    session = boto3.session.Session(region_name=region)
    translator = Translator({}, Parser(), boto_session=session)
    made = translator.translate(json.loads(text), parameter_values={"AWS::Region": region})
    resources: dict[str, dict[str, Any]] = made["Resources"]
    return resources
