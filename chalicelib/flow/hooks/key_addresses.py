"""The addresses from which hooks fetch the keys and certificates that platforms publish."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOSTS = frozenset({"login.botframework.com", "www.googleapis.com"})
HOST_FORMS = (re.compile(r"sns\.[a-z]{2,4}(?:-[a-z]{2,12}){1,2}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"),)
"""The platforms' own hosts, exactly or by form. No other host is called, even if a request names it."""

ISSUER = re.compile(r"http://crt\.[a-z0-9]{1,20}\.amazontrust\.com/[A-Za-z0-9]{1,40}\.cer")
"""Where Amazon's authorities publish their own certificates."""


def is_own(url: str) -> bool:
    """Say whether an address is at one of the platforms' own hosts, over https, without anything that could mislead.

    The certificates of Amazon's authorities are an exception: they are published over http, and prove themselves.
    """
    if ISSUER.fullmatch(url):
        return True
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.netloc
    known = host in HOSTS or any(form.fullmatch(host) for form in HOST_FORMS)
    return parts.scheme == "https" and known and port is None
