"""The ``waybill`` command: for developers, operators and auditors. ``python cli.py --help`` lists what it can do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def _lines(answer: Callable[[str], dict[str, Any]]) -> int:
    """Answer standard input line by line; each answer is flushed before the next line is read."""
    for raw in sys.stdin.buffer:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        text = json.dumps(answer(line), ensure_ascii=True, separators=(",", ":"))
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    return 0


def _normalise(arguments: argparse.Namespace) -> int:
    from chalicelib.lines import normalise

    return _lines(normalise.answer)


def _match(arguments: argparse.Namespace) -> int:
    from chalicelib.lines import match

    return _lines(match.answer)


def _decide(arguments: argparse.Namespace) -> int:
    from chalicelib.core.errors import WaybillError
    from chalicelib.lines import decide

    try:
        law = decide.load(arguments.law)
    except WaybillError as error:
        print(f"waybill decide: {error.detail}", file=sys.stderr)
        return 2
    return _lines(lambda line: decide.answer(line, law, arguments.strict))


def _local(arguments: argparse.Namespace) -> int:
    from infra import local

    return local.serve(
        local.Options(
            port=arguments.port,
            engine=arguments.engine,
            region=arguments.region,
            country=arguments.country,
            state=arguments.state,
            pump_s=arguments.pump_s,
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="waybill", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], help: str, more: str = ""
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=f"{help}. {more}".strip())
        made.set_defaults(run=run)
        return made

    reads = "Reads JSON lines, writes JSON lines, one for one; touches no network and no store."
    command("normalise", _normalise, "judge webhook requests and turn them into canonical events", reads)
    command("match", _match, "say whether events match event patterns", reads)
    decide = command("decide", _decide, "decide transfers by law", f"{reads} Exit 2 where the rules do not load.")
    decide.add_argument("--law", type=Path, metavar="DIR", help="rule files to use instead of the installed ones")
    decide.add_argument("--strict", action="store_true", help="hold what rests on a rule whose reading is unsure")
    local = command(
        "local", _local, "run a whole cell in this process", "The first line on standard output says that it serves."
    )
    local.add_argument("--port", type=int, default=0, help="of the HTTP door on 127.0.0.1 (a free one)")
    local.add_argument("--engine", default="moto", help="moto, ministack or the URL of an engine (%(default)s)")
    local.add_argument("--region", default="eu-central-1", help="home region (%(default)s)")
    local.add_argument("--country", help="of the home region (what the region map says)")
    local.add_argument("--state", type=Path, metavar="DIR", help="where ministack keeps its state")
    local.add_argument("--pump-s", type=float, default=5, help="seconds between looks at lanes that wait (%(default)s)")
    local.add_argument("--seal-s", type=float, default=5, help="seconds between seals of the log; taken, but the log is not sealed yet")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = _parser().parse_args(arguments)
    code: int = parsed.run(parsed)
    return code


if __name__ == "__main__":
    sys.exit(main())
