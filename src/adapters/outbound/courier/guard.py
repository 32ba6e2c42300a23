"""The guard against server-side request forgery: which URLs we accept and which addresses we ever connect to.

A name is judged by the addresses it has at the moment of sending, all of them, and the connection goes to an address
that was judged: what a name meant at its registration says nothing (DNS rebinding).
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from domain.errors import InvalidRequest

PORTS = frozenset({80, 443, 8443})
LONGEST_URL = 2048

# An own table: the flags of `ipaddress` differ between Python's releases and let some of these through. From IANA's
# IPv4 and IPv6 special-purpose address registries, and a cloud's own.
_BLOCKED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # carrier-grade NAT, and Alibaba Cloud's metadata
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All global unicast addresses are in here (RFC 4291, 2.4). What is outside embeds IPv4 addresses (::/96, 64:ff9b::/96),
# is local (fc00::/7, fe80::/10, fec0::/10), multicast or unassigned.
_UNICAST_6 = IPv6Network("2000::/3")
_BLOCKED_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# Open only for the demo and tests.
_PRIVATE = tuple(
    ip_network(network)
    for network in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)

Lookup = Callable[[str, int], Sequence[str]]


class BlockedAddress(OSError):
    """We do not connect there. Its text never names the address: the names inside a network are nobody's business."""


def check_url(url: str, *, allow_private: bool = False, allow_http: bool = False) -> None:
    """Raises InvalidRequest(code="url_invalid") for an address that we would never send to.

    Required: absolute, https (http too with ``allow_http``), one of the PORTS, no credentials, no address literal that
    is not public. ``allow_private``, for the demo and tests: private networks, http and any port as well.
    """
    parse_url(url, allow_private=allow_private, allow_http=allow_http)


@functools.lru_cache(maxsize=1024)  # a sweep asks for the same few, and each time it was parsed anew
def parse_url(url: str, *, allow_private: bool = False, allow_http: bool = False) -> URL:
    """The URL as it will be used, parsed once, so that nobody reads it differently later. Raises as ``check_url``."""
    if len(url) > LONGEST_URL:
        raise _refused(f"a URL has at most {LONGEST_URL} characters")
    if "\\" in url or not url.isprintable() or " " in url:
        raise _refused("a URL has no blanks, control characters or backslashes")
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except (ValueError, UnicodeError):
        raise _refused("this is not a URL") from None
    if parsed.scheme != "https" and not (parsed.scheme == "http" and (allow_http or allow_private)):
        raise _refused("the URL must begin with https://")
    if not host:
        raise _refused("the URL must name a host")
    if "@" in parsed.raw_authority:
        raise _refused("a URL must not hold credentials")
    if port not in PORTS and not allow_private:
        raise _refused(f"the port must be one of {', '.join(map(str, sorted(PORTS)))}")
    _check_host(host, allow_private=allow_private)
    return parsed


def _check_host(host: str, *, allow_private: bool) -> None:
    try:
        ip_address(host)
    except ValueError:
        # Of names only the form is judged here; their addresses are when they are used. Numbers that are no canonical
        # literal (127.1, 0x7f.1, 2130706433) are addresses to some resolvers, so no name may end like one.
        last = host.rpartition(".")[2]
        if not last or last[0].isdigit() or "%" in host:
            raise _refused("this is not a host's name") from None
        if "." not in host and not allow_private:
            raise _refused("the host must be a full domain name") from None
        return
    try:
        check_address(host, allow_private=allow_private)
    except BlockedAddress:
        raise _refused("this address is not public") from None


def check_address(address: str, *, allow_private: bool = False) -> None:
    """Raises BlockedAddress unless the address is public (or private, where that is allowed)."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in _PRIVATE):
        blocked = not allow_private
    elif isinstance(ip, IPv4Address):
        blocked = any(ip in network for network in _BLOCKED_4)
    else:
        blocked = ip not in _UNICAST_6 or any(ip in network for network in _BLOCKED_6)
    if blocked:
        raise BlockedAddress("the address is not public")


def system_lookup(host: str, port: int) -> Sequence[str]:
    """Every address of a name, as the system knows it. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "this is not a host's name") from error
    return [str(address[0]) for *_, address in found]


class GuardedResolver(AbstractResolver):
    """Looks a name up each time it is needed and refuses it if any of its addresses is not public."""

    def __init__(self, *, allow_private: bool, lookup: Lookup) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        # Threads of its own: a merchant whose name servers are slow must not occupy those of the rest of the process.
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._lookup, host, port)
        for address in addresses:
            check_address(address, allow_private=self._allow_private)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded_connector(
    *, resolver: GuardedResolver, allow_private: bool, keepalive: float, tls: ssl.SSLContext | None = None
) -> aiohttp.TCPConnector:
    """A connector that opens no socket to a blocked address. ``keepalive``: seconds that an idle connection is kept."""
    return aiohttp.TCPConnector(
        ssl=tls or True,
        resolver=resolver,
        use_dns_cache=False,
        # aiohttp asks no resolver about address literals. This is asked before every connection, to whatever address.
        socket_factory=functools.partial(_guarded_socket, allow_private=allow_private),
        keepalive_timeout=keepalive,
        # How many go out at once is the caller's affair. A limit here would let those who hang keep out the others.
        limit=0,
    )


def _guarded_socket(target: AddrInfoType, *, allow_private: bool) -> socket.socket:
    family, type_, proto, _, address = target
    check_address(str(address[0]), allow_private=allow_private)
    return socket.socket(family, type_, proto)


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="url_invalid")
