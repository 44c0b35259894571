"""Which URLs and addresses anything is sent to. Pure: a URL and a policy in, a target or a refusal out.

A host is read as a browser would read it, because that is the most that any resolver makes of a text: percent-decoded,
mapped by UTS 46, and an IPv4 address whenever its last label is a number. Wherever that reading is an address, only the
plain spelling is taken. What is not positively understood is refused.

Source: https://url.spec.whatwg.org/#host-parsing (read 2026-11-22).
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from ..core.errors import Invalid

URL_MAX = 2048
HOST_MAX = 253
PORTS = frozenset({443, 8443, 80, 8080})
DEFAULT_PORTS: Mapping[str, int] = {"https": 443, "http": 80}

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry (read 2026-11-22).
# Tables of our own, because ipaddress.is_global takes translated, 6to4, site-local and multicast addresses for global ones.
FORBIDDEN_V4: tuple[IPv4Network, ...] = tuple(
    IPv4Network(n)
    for n in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # the host agent of one large cloud: a public number that is never public
        "100.100.100.200/32",  # the metadata service of another
    )
)  # fmt: skip
ALLOWED_V6 = IPv6Network("2000::/3")
FORBIDDEN_V6: tuple[IPv6Network, ...] = tuple(
    IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
NAT64 = IPv6Network("64:ff9b::/96")

REFUSALS: Mapping[str, str] = {
    "form": "write the URL as https://host/path, without spaces, control characters or backslashes, at most 2048 characters",
    "scheme": "use an https URL",
    "userinfo": "take the user name and password out of the URL; put credentials into headers",
    "fragment": "take the fragment (#…) out of the URL",
    "host": "the host is not a name or an address that can be used",
    "spelling": "write the address in plain dotted-decimal or as bracketed IPv6 without a zone",
    "name": "use a public host name with at least two labels",
    "own": "the host belongs to this service",
    "port": "use port 443, 8443, 80 or 8080, or ask the operator to open another",
    "ipv6": "the host has IPv6 addresses only, and this cell has no IPv6: give the host an IPv4 address",
    "address": "the host is, or resolves to, an address to which the cell never sends",
}
"""Why a URL is refused, in the words a tenant reads. None tells which address or port was seen behind a name."""

_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]+)(.*)\Z", re.DOTALL)
_BAD_CHARACTER = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_PLAIN_V4 = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}\Z")
_LOCAL_SUFFIXES = ("localhost", "local", "internal")


class ForbiddenAddress(Invalid):
    """A URL is not one that anything is sent to; ``reason`` is a key of ``REFUSALS``."""

    code = "forbidden_address"

    def __init__(self, reason: str) -> None:
        text = REFUSALS[reason]
        super().__init__(text, [{"loc": "body.config.url", "code": self.code, "msg": text}])
        self.reason = reason


def _networks(ranges: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(r) for r in ranges)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator of a cell allows beyond the public ``https`` internet.

    ``allow_cidrs`` opens ``http``, any port and these ranges for address literals only; names that resolve into them
    stay refused. Never set in a deployed cell.

    Raises:
        ValueError: ``allow_cidrs`` holds what is not a network.
    """

    allow_http: bool = False
    allow_cidrs: tuple[str, ...] = ()
    extra_ports: frozenset[int] = frozenset()
    own_domains: frozenset[str] = frozenset()
    ipv6: bool = False
    opened: tuple[Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened", _networks(self.allow_cidrs))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be tried. ``host`` is ASCII, without brackets; ``address`` is set where it is an address.

    The path is not shown: it may be a credential.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    address: Address | None = None

    @property
    def host_header(self) -> str:
        """The value of ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_forbidden(address: Address) -> bool:
    """Say whether an address is one that nothing is sent to, whatever the policy."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in FORBIDDEN_V4)
    if address.scope_id is not None:
        return True
    if address.ipv4_mapped is not None:
        return is_forbidden(address.ipv4_mapped)
    if address in NAT64:
        return is_forbidden(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address not in ALLOWED_V6 or any(address in network for network in FORBIDDEN_V6)


@lru_cache(1024)
def check_url(url: str, policy: Policy) -> Target:
    """Read a URL; the same judgement at creation and at each attempt, and for one URL and policy made once.

    Raises:
        ForbiddenAddress: anything but a plain URL of a public name or address; the text names the remedy.
    """
    if len(url) > URL_MAX or _BAD_CHARACTER.search(url):
        raise ForbiddenAddress("form")
    if "#" in url:
        raise ForbiddenAddress("fragment")
    parts = _AUTHORITY.match(url)
    if parts is None or not parts[3].isascii():
        raise ForbiddenAddress("form")
    scheme, authority, path = parts[1].lower(), parts[2], parts[3]
    if scheme not in DEFAULT_PORTS:
        raise ForbiddenAddress("scheme")
    if "@" in authority:
        raise ForbiddenAddress("userinfo")
    written, port = _split(authority, DEFAULT_PORTS[scheme])
    host, address = _host(written)
    target = Target(scheme, host, port, path if path.startswith("/") else f"/{path}", address)
    if address is not None and any(address in network for network in policy.opened):
        return target
    if scheme == "http" and not policy.allow_http:
        raise ForbiddenAddress("scheme")
    if port not in PORTS and port not in policy.extra_ports:
        raise ForbiddenAddress("port")
    if address is None:
        _check_name(host, policy)
    elif is_forbidden(address) or (address.version == 6 and not policy.ipv6):
        raise ForbiddenAddress("address")
    return target


def check_answers(answers: list[str], policy: Policy) -> tuple[str, ...]:
    """Return the addresses to try, in the order in which a name resolves to them; none where none can be used.

    Raises:
        ForbiddenAddress: any of them is forbidden, usable or not: a name that points inside once is not trusted.
    """
    try:
        addresses = [ip_address(a) for a in answers]
    except ValueError:
        raise ForbiddenAddress("address") from None
    if any(is_forbidden(a) for a in addresses):
        raise ForbiddenAddress("address")
    return tuple(dict.fromkeys(str(a) for a in addresses if a.version == 4 or policy.ipv6))


def _split(authority: str, default_port: int) -> tuple[str, int]:
    """Split ``host:port``; brackets stay on the host."""
    host, colon, digits = authority, "", ""
    if not authority.endswith("]"):
        host, colon, digits = authority.rpartition(":")
        host = host if colon else authority
    if not host:
        raise ForbiddenAddress("host")
    if not colon:
        return host, default_port
    if not _PORT.match(digits) or not 1 <= int(digits) <= 65_535:
        raise ForbiddenAddress("port")
    return host, int(digits)


def _host(written: str) -> tuple[str, Address | None]:
    """Read a host as a browser would; an address only in its plain spelling."""
    if written.startswith("["):
        return _bracketed(written)
    if ":" in written:
        raise ForbiddenAddress("spelling")
    host = _ascii(_percent_decoded(written)).lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.match(labels[-1]):
        if not _PLAIN_V4.match(written) or any(int(label) > 255 for label in labels):
            raise ForbiddenAddress("spelling")
        return host, IPv4Address(host)
    if len(host) > HOST_MAX or not all(_LABEL.match(label) for label in labels):
        raise ForbiddenAddress("host")
    return host, None


def _bracketed(written: str) -> tuple[str, Address]:
    inner = written[1:-1]
    if not written.endswith("]") or "%" in inner:
        raise ForbiddenAddress("spelling")
    try:
        address = IPv6Address(inner)
    except ValueError:
        raise ForbiddenAddress("spelling") from None
    return str(address), address


def _percent_decoded(written: str) -> str:
    try:
        return urllib.parse.unquote(written, errors="strict") if "%" in written else written
    except UnicodeDecodeError:
        raise ForbiddenAddress("host") from None


def _ascii(host: str) -> str:
    if host.isascii() and "xn--" not in host.lower():
        return host
    import idna  # only few URLs need its tables

    try:
        encoded: Any = idna.encode(host, uts46=True)
    except (UnicodeError, ValueError):
        raise ForbiddenAddress("host") from None
    return str(encoded.decode("ascii"))


def _check_name(host: str, policy: Policy) -> None:
    def below(domain: str) -> bool:
        return host == domain or host.endswith("." + domain)

    if "." not in host or any(below(suffix) for suffix in _LOCAL_SUFFIXES):
        raise ForbiddenAddress("name")
    if any(below(domain.lower().rstrip(".")) for domain in policy.own_domains):
        raise ForbiddenAddress("own")
