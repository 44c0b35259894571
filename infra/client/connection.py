"""How the commands reach a cell: over https, or on this machine, and never where a redirect leads, since the key would go along."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def opener() -> urllib.request.OpenerDirector:
    """Return what opens addresses and follows no redirect."""
    return urllib.request.build_opener(_NoRedirects)


def is_safe(url: str) -> bool:
    """Say whether an address is one of https, or of http on this machine, without a user's name."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    local = parts.scheme == "http" and _is_loopback(host)
    return bool(host) and not parts.username and not parts.fragment and (parts.scheme == "https" or local)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
