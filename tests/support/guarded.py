"""Calls that would silence an alarm or the tripwire: a deployment may make them, a person by hand may not."""

from __future__ import annotations

from tests.support.deployed import arn

_ALARM, _RULE = (arn(*name) for name in (("cloudwatch", "alarm:waybill-eu1-sweep-silent"), ("events", "rule/other")))
_FUNCTIONS = {name: arn("lambda", f"function:waybill-eu1-{name}") for name in ("tripwire", "route")}
_DEPLOYMENT = {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}
_CHANGES_FUNCTIONS = "DeleteFunction PutFunctionConcurrency UpdateFunctionCode UpdateFunctionConfiguration".split()
_STAYS = [
    *((f"cloudwatch:{a}", _ALARM) for a in ("DeleteAlarms", "DisableAlarmActions", "PutMetricAlarm")),
    *((f"lambda:{a}", _FUNCTIONS["tripwire"]) for a in _CHANGES_FUNCTIONS),
    *((f"sns:{a}", arn("sns", "waybill-eu1-alarms")) for a in ("DeleteTopic", "SetTopicAttributes")),
    *(
        (f"events:{a}", arn("events", "rule/waybill-eu1-break-glass-used"))
        for a in ("DeleteRule", "DisableRule", "PutRule", "RemoveTargets")
    ),
]
_LEFT_BY_HAND = [
    ("cloudwatch:EnableAlarmActions", _ALARM), ("cloudwatch:PutMetricAlarm", arn("cloudwatch", "alarm:own")),
    ("events:DisableRule", _RULE), ("sns:Subscribe", arn("sns", "waybill-eu1-alarms")),
    *((f"lambda:{a}", _FUNCTIONS["route"]) for a in _CHANGES_FUNCTIONS),
]  # fmt: skip
_MAPPING = arn("lambda", "event-source-mapping:1")
_MAPS = ("lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping")
WATCHING: list[tuple[str, str, dict[str, str]]] = [
    *((a, r, way) for a, r in (*_STAYS, *_LEFT_BY_HAND) for way in ({}, _DEPLOYMENT)),
    *(
        (a, _MAPPING, {"lambda:FunctionArn": function, **way})
        for a in _MAPS
        for function in _FUNCTIONS.values()
        for way in ({}, _DEPLOYMENT)
    ),
]
DENIED_BY_HAND = [
    *_STAYS,
    *((a, f"{_MAPPING}{ {'lambda:FunctionArn': _FUNCTIONS['tripwire']} }") for a in _MAPS),
]
