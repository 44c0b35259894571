"""Numbers on a command line, and the range that each may have."""

from __future__ import annotations

import argparse


def port(text: str) -> int:
    """Read a TCP port; 0 asks for a free one."""
    found = int(text)
    if not 0 <= found <= 65535:
        raise argparse.ArgumentTypeError("a port is from 0 to 65535")
    return found


def threads(text: str) -> int:
    """Read a number of threads."""
    found = int(text)
    if not 1 <= found <= 256:
        raise argparse.ArgumentTypeError("threads from 1 to 256")
    return found


def seconds(text: str) -> float:
    """Read a time in seconds, at most a day."""
    found = float(text)
    if not 0.05 <= found <= 86_400:
        raise argparse.ArgumentTypeError("seconds from 0.05 to 86400")
    return found
