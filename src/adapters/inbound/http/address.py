"""From which network address a call comes: the peer's, or what a trusted proxy says of it."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar.connection import ASGIConnection

Network = IPv4Network | IPv6Network
MOST_HOPS = 20


class ClientAddress:
    """Believes ``X-Forwarded-For`` only of peers in ``trusted``, and reads it from the right: every proxy appends what
    it saw, so the last one that is not ours is the client, whatever it wrote itself further to the left."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        """None where there is no network between us, as in some tests. Anything unreadable counts as not said."""
        client = connection.scope.get("client")
        peer = _address(client[0]) if client else None
        if peer is None:
            return None
        if not self._trusts(peer):
            return str(peer)
        for said in _forwarded(connection.headers.getall("x-forwarded-for", [])):
            hop = _address(said)
            if hop is None:
                break
            peer = hop
            if not self._trusts(hop):
                break
        return str(peer)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def _forwarded(headers: Sequence[str]) -> list[str]:
    hops = [hop.strip() for header in headers for hop in header.split(",")]
    return hops[-MOST_HOPS:][::-1]


# Most calls come from the same few: a proxy, and the merchants' servers behind it.
@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
