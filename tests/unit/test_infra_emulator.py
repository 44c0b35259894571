"""The emulator's gaps are filled as AWS has it."""

from __future__ import annotations

from typing import Any

from ministack.services import lambda_svc

from infra.deploy import emulator


def test_a_function_keeps_versions_aliases_and_rights_when_its_code_changes() -> None:
    def create(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, Any]]:
        parts: dict[str, Any] = {part: {} for part in ("versions", "aliases", "policy", "tags", "event_invoke_configs")}
        name = properties["FunctionName"]
        lambda_svc._functions[name] = {**parts, "next_version": 1, "concurrency": None, "code_zip": properties["Code"]}
        return name, {}

    again = emulator.kept(create)
    again("Hooks", {"FunctionName": "hooks", "Code": b"one"}, "stack")
    function = lambda_svc._functions["hooks"]
    function["versions"]["1"] = {"code_zip": b"one"}
    function["aliases"]["live"] = {"FunctionVersion": "1"}
    function["next_version"] = 2
    again("Hooks", {"FunctionName": "hooks", "Code": b"two"}, "stack")

    changed = lambda_svc._functions["hooks"]
    assert changed["code_zip"] == b"two"
    assert (changed["versions"], changed["next_version"]) == ({"1": {"code_zip": b"one"}}, 2)
    assert changed["aliases"] == {"live": {"FunctionVersion": "1"}}
