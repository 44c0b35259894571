"""The ``waybill`` command: for developers, operators and auditors. ``python cli.py --help`` lists what it can do."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

_READER_GONE = 141
"""The exit status of a shell of a process that a closed pipe has ended."""


def _write(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=True, separators=(",", ":"))


def _lines(answer: Callable[[str], dict[str, Any]], write: Callable[[dict[str, Any]], str] = _write) -> int:
    """Answer standard input line by line; each answer is flushed before the next line is read."""
    for raw in sys.stdin.buffer:
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        sys.stdout.write(write(answer(line)) + "\n")
        sys.stdout.flush()
    return 0


def _normalise(arguments: argparse.Namespace) -> int:
    from chalicelib.commands import normalise

    return _lines(normalise.answer, normalise.write)


def _match(arguments: argparse.Namespace) -> int:
    from chalicelib.commands import match

    return _lines(match.answer)


def _decide(arguments: argparse.Namespace) -> int:
    from chalicelib.commands import decide
    from chalicelib.core.errors import WaybillError

    try:
        law = decide.load(arguments.law)
    except (WaybillError, OSError, UnicodeDecodeError) as error:
        print(f"waybill {arguments.command}: {error}", file=sys.stderr)
        return 2
    answer = decide.explained if arguments.command == "explain" else decide.answer
    return _lines(lambda line: answer(line, law, arguments.strict))


def _preflight(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from chalicelib.commands import decide, preflight
    from chalicelib.core.errors import WaybillError

    try:
        law = decide.load(arguments.law)
        plan = preflight.read(arguments.routes.read_text(encoding="utf-8"), datetime.now(UTC))
    except (WaybillError, preflight.WrongFile, OSError, UnicodeDecodeError) as error:
        print(f"waybill preflight: {error}", file=sys.stderr)
        return preflight.WRONG
    report = preflight.examine(plan, law)
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else preflight.as_text(report))
    return preflight.exit_code(report)


def _what_if(arguments: argparse.Namespace) -> int:
    import tempfile
    from datetime import UTC, datetime

    from chalicelib.commands import what_if
    from chalicelib.core.errors import WaybillError
    from chalicelib.core.explain import what_if as periods
    from infra.client import fetch

    if (arguments.bundle is None) == (arguments.url is None) or (arguments.url is None) != (arguments.key_file is None):
        arguments.refuse("give --bundle, or --url and --key-file")
    try:
        law, until = what_if.draft(arguments.law), datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="waybill-") as folder:
            files = [arguments.bundle]
            if arguments.url is not None:
                key = arguments.key_file.read_text(encoding="utf-8").strip()
                after = periods.since(arguments.since, until)
                files = list(fetch.bundles(arguments.url, key, after, until, Path(folder)))
            report = what_if.of_files(files, law, arguments.since, until if arguments.url is not None else None)
    except (WaybillError, what_if.BadBundle, fetch.NotFetched, OSError, ValueError) as error:
        print(f"waybill what-if: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else what_if.as_text(report))
    return 1 if report["changed"] else 0


def _selfcheck(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from chalicelib.commands import decide, selfcheck
    from chalicelib.core.errors import WaybillError

    try:
        law = decide.load(arguments.law)
    except (WaybillError, OSError, UnicodeDecodeError) as error:
        print(f"waybill selfcheck: {error}", file=sys.stderr)
        return 2
    report = selfcheck.examine(law, arguments.today or datetime.now(UTC).date())
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else selfcheck.as_text(report))
    return selfcheck.exit_code(report)


def _verify(arguments: argparse.Namespace) -> int:
    from chalicelib.commands import verify

    try:
        trust = verify.trust(arguments.vkey, arguments.witness, arguments.quorum, arguments.seen, arguments.now)
    except verify.BadArgument as error:
        print(f"waybill verify: {error}", file=sys.stderr)
        return 64
    report = verify.of_file(arguments.bundle, trust)
    print(verify.as_json(report) if arguments.json else verify.as_text(report))
    return report.code


def _report(arguments: argparse.Namespace) -> int:
    from infra.client.report import command

    return command.run(
        arguments.url,
        arguments.key_file,
        {name: getattr(arguments, name) for name in ("subject", "event", "after", "before")},
        lang=arguments.lang,
        form=arguments.format,
        output=arguments.output,
        vkeys=arguments.vkey,
    )


def _consents(arguments: argparse.Namespace) -> int:
    from infra.client import consents

    return consents.run(arguments.file, arguments.url, arguments.key_file, arguments.report, arguments.from_line)


class _Parser(argparse.ArgumentParser):
    """A parser with the exit code that its command has for wrong usage."""

    usage_code = 2

    def error(self, message: str) -> NoReturn:
        """Print the usage and end."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_code, f"{self.prog}: error: {message}\n")


def _local(arguments: argparse.Namespace) -> int:
    from infra.cell import local

    return local.serve(
        local.Options(
            port=arguments.port,
            engine=arguments.engine,
            region=arguments.region,
            country=arguments.country,
            state=arguments.state,
            pump_s=arguments.pump_s,
            seal_s=arguments.seal_s,
        )
    )


def _serve(arguments: argparse.Namespace) -> int:
    from infra.cell import serve

    if arguments.init:
        return serve.init(arguments.lock)
    if arguments.check:
        return serve.check()
    return serve.serve(serve.Options(arguments.host, arguments.port, arguments.threads, arguments.clock_s))


def _redrive(arguments: argparse.Namespace) -> int:
    from chalicelib.core.errors import WaybillError
    from chalicelib.core.ids import is_id
    from chalicelib.flow.jobs import replay
    from chalicelib.runtime import runtime

    if not is_id(arguments.tenant, "tnt"):
        print("waybill redrive: a tenant's id is tnt_ and 26 characters", file=sys.stderr)
        return 2
    try:
        cell, failed = runtime(), 0
        for letter in list(replay.letters(cell, arguments.tenant)):
            if arguments.thing not in (None, letter["thing"]):
                continue
            if arguments.send:
                try:
                    replay.redrive(cell, arguments.tenant, letter, ("operator", arguments.operator))
                    state = "sent again"
                except WaybillError as error:
                    state, failed = f"stays: {error.detail}", 1
            else:
                state = "parked"
            print(f"{letter['parked_at']}  {letter['queue']:7}{letter['thing']}  {state}")
    except WaybillError as error:
        print(f"waybill redrive: {error.detail}", file=sys.stderr)
        return 1
    return failed


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is from 0 to 65535")
    return port


def _threads(text: str) -> int:
    threads = int(text)
    if not 1 <= threads <= 256:
        raise argparse.ArgumentTypeError("threads from 1 to 256")
    return threads


def _line(text: str) -> int:
    line = int(text)
    if line < 1:
        raise argparse.ArgumentTypeError("lines are counted from 1")
    return line


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.05 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("seconds from 0.05 to 86400")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="waybill", description="For developers, operators, auditors. See COMMAND --help.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str, more: str = "") -> _Parser:
        made: _Parser = commands.add_parser(name, help=help, description=f"{help}. {more}".strip())
        made.set_defaults(run=run, refuse=made.error)
        return made

    reads = "Reads JSON lines, writes JSON lines, one for one; touches no network and no store."
    command("normalise", _normalise, "judge webhook requests and turn them into canonical events", reads)
    command("match", _match, "say whether events match event patterns", reads)
    for name, help in (("decide", "decide transfers by law"), ("explain", "decide transfers by law and say why")):
        decide = command(name, _decide, help, f"{reads} Exit 2 where the rules do not load.")
        decide.add_argument("--law", type=Path, metavar="DIR", help="rule files to use instead of the installed ones")
        decide.add_argument("--strict", action="store_true", help="hold what rests on a rule whose reading is unsure")
    preflight = command(
        "preflight",
        _preflight,
        "say what planned flows lack, by law, before anything is sent",
        "Offline. Exit 0 where all may be sent, 1 where something is held, 2 refused, 3 where a file is wrong.",
    )
    preflight.usage_code = 3
    preflight.add_argument("routes", type=Path, metavar="ROUTES.toml", help="the planned flows")
    preflight.add_argument("--law", type=Path, metavar="DIR", help="rule files to use instead of the installed ones")
    preflight.add_argument("--json", action="store_true", help="report for a program")
    what_if = command(
        "what-if",
        _what_if,
        "say what a draft of the law would have changed for past transfers",
        "Exit 0 where nothing would change, 1 where something would, 2 where something cannot be read.",
    )
    what_if.add_argument("--law", type=Path, metavar="DIR", required=True, help="the draft's rule files")
    what_if.add_argument("--since", metavar="P30D", default="P30D", help="how far back (%(default)s)")
    what_if.add_argument("--bundle", type=Path, metavar="FILE", help="a bundle of evidence; offline")
    what_if.add_argument("--url", metavar="URL", help="a cell's address, to have a bundle made there")
    what_if.add_argument("--key-file", type=Path, metavar="FILE", help="a file with a key of scope audit")
    what_if.add_argument("--json", action="store_true", help="report for a program")
    selfcheck = command(
        "selfcheck",
        _selfcheck,
        "list the rules that are to be checked again, and those that nobody can be sure of",
        "Offline. Exit 0, or 1 where a rule was not compared with its source for 90 days, 2 where rules do not load.",
    )
    selfcheck.add_argument("--law", type=Path, metavar="DIR", help="rule files to use instead of the installed ones")
    selfcheck.add_argument("--today", type=date.fromisoformat, metavar="DATE", help="the day to judge by (today)")
    selfcheck.add_argument("--json", action="store_true", help="report for a program")
    verify = command(
        "verify",
        _verify,
        "verify a bundle of evidence",
        "Offline; reads nothing but its arguments. Exit 0 ok, 1 proof bad, 2 incomplete, 3 a decision does not follow, "
        "4 malformed, 64 wrong usage.",
    )
    verify.usage_code = 64
    verify.add_argument("bundle", type=Path, help="the tar")
    verify.add_argument("--vkey", action="append", default=[], help="trust this key of the log; may be repeated")
    verify.add_argument("--witness", action="append", default=[], metavar="VKEY", help="a witness that counts")
    verify.add_argument("--quorum", type=int, default=0, metavar="N", help="witnesses that must have cosigned")
    verify.add_argument("--seen", metavar="CHECKPOINT", help="a checkpoint that you kept from before")
    verify.add_argument("--now", metavar="TIME", help="judge open transfers by this time (the latest in the bundle)")
    verify.add_argument("--json", action="store_true", help="report for a program")
    report = command(
        "report",
        _report,
        "write who held data, who received them and who answers for it",
        "Asks a cell, checks every proof. Exit 0 written, 1 not answered, 2 wrong usage, 3 written but a proof is bad.",
    )
    report.add_argument("--url", required=True, help="the cell's API, https, or http on this machine")
    report.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="holds an API key, scope audit")
    report.add_argument("--subject", metavar="ID", help="sub_…: what a person sent")
    report.add_argument("--event", metavar="ID", help="evt_…; with --after and --before if it is no longer stored")
    report.add_argument("--after", metavar="TIME", help="from this time on, RFC 3339")
    report.add_argument("--before", metavar="TIME", help="and before this one")
    report.add_argument("--lang", choices=("en", "ru"), default="en", help="of the page (%(default)s)")
    report.add_argument("--format", choices=("html", "json"), default="html", help="a page or data (%(default)s)")
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write (standard output)")
    report.add_argument("--vkey", action="append", default=[], help="trust this key of the log; may be repeated")
    consents = command(
        "consents",
        _consents,
        "send a file of consents to a cell",
        "Sending it again does no harm. Exit 0 all taken, 1 some refused, 2 the cell did not answer, 3 wrong usage or file.",
    )
    consents.usage_code = 3
    consents.add_argument("action", choices=("import",), help="what to do")
    consents.add_argument("file", type=Path, metavar="FILE", help="JSON lines: a consent or a withdrawal each")
    consents.add_argument("--url", required=True, help="the cell's API, https, or http on this machine")
    consents.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="holds an API key, scope write")
    consents.add_argument("--report", type=Path, metavar="FILE", help="where refused lines are named (standard output)")
    consents.add_argument("--from-line", type=_line, default=1, metavar="N", help="begin with this line (%(default)s)")
    local = command(
        "local", _local, "run a whole cell in this process", "The first line on standard output says that it serves."
    )
    local.add_argument("--port", type=_port, default=0, help="of the HTTP door on 127.0.0.1 (a free one)")
    local.add_argument("--engine", default="moto", help="moto, ministack or the URL of an engine (%(default)s)")
    local.add_argument("--region", default="eu-central-1", help="home region (%(default)s)")
    local.add_argument("--country", help="of the home region (what the region map says)")
    local.add_argument("--state", type=Path, metavar="DIR", help="where ministack keeps its state")
    local.add_argument(
        "--pump-s", type=_seconds, default=5, help="seconds between looks at lanes that wait (%(default)s)"
    )
    local.add_argument(
        "--seal-s",
        type=_seconds,
        default=5,
        help="seconds that an entry of the log waits at most to be sealed (%(default)s)",
    )
    serve = command(
        "serve",
        _serve,
        "serve a cell at a home without an AWS region",
        "Runs with the settings of the cell; logs JSON lines; finishes what is in hand at SIGTERM. Exit 1 where the "
        "settings or the engine will not do.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="to listen on; TLS ends in front of it (%(default)s)")
    serve.add_argument("--port", type=_port, default=8080, help="of the HTTP door; 0 is a free one (%(default)s)")
    serve.add_argument("--threads", type=_threads, default=16, help="that answer requests (%(default)s)")
    serve.add_argument(
        "--clock-s", type=_seconds, default=10, help="seconds between looks at lanes, jobs and logs (%(default)s)"
    )
    only = serve.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="only check the settings and the engine")
    only.add_argument("--init", action="store_true", help="only make tables, queues and buckets; what is there stays")
    serve.add_argument(
        "--lock",
        choices=("COMPLIANCE", "GOVERNANCE"),
        default="COMPLIANCE",
        help="how --init locks the evidence bucket; nobody can undo %(default)s",
    )
    redrive = command(
        "redrive",
        _redrive,
        "list a tenant's dead letters, or send them on their way again",
        "Runs with your AWS credentials and the settings of a cell (WAYBILL_CELL, AWS_REGION, WAYBILL_COUNTRY).",
    )
    redrive.add_argument("tenant", help="tnt_…")
    redrive.add_argument("--thing", metavar="ID", help="only the letter about this event or transfer")
    redrive.add_argument(
        "--send", action="store_true", help="send them again: each is an act in the log and a new decision"
    )
    redrive.add_argument("--operator", default="operator", metavar="ID", help="who acts, as the log shall name you")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed, unknown = _parser().parse_known_args(arguments)
    if unknown:
        parsed.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads our output has seen enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    return code


if __name__ == "__main__":
    sys.exit(main())
