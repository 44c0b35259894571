"""The example of a proxy's configuration writes no address to a log: addresses hold secrets."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/homes-without-a-region.md"
WRITES_ADDRESS = re.compile(
    r"\$(?:request|request_uri|uri|document_uri|args|query_string|is_args|request_filename|http_referer|arg_\w+)\b"
)


def configuration() -> str:
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return re.sub(r"#[^\n]*", "", found)


def test_every_log_has_a_format_without_the_address() -> None:
    text = configuration()
    formats = dict(re.findall(r"log_format\s+(\w+)\s+'([^']*)';", text))
    logs = re.findall(r"access_log\s+(\S+?)(?:\s+(\w+))?;", text)

    assert formats and not any(WRITES_ADDRESS.search(form) for form in formats.values())
    # Without a line of its own a server writes nginx's usual format, which holds the whole address.
    assert len(logs) == len(re.findall(r"server\s*\{\s*listen", text)) == 1
    assert all(name == "off" or form in formats for name, form in logs)


def test_error_log_is_above_the_levels_that_write_requests() -> None:
    assert re.findall(r"error_log\s+\S+\s+(\w+);", configuration()) == ["crit"]
