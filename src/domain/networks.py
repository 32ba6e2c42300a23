"""Networks of addresses, compared as numbers and never as text."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from domain.errors import InvalidRequest


def network(text: str) -> str:
    """An IPv4 or IPv6 network in its one spelling: ``203.0.113.0/24``, ``2001:db8::/32``. A single address is the
    network of itself. Raises InvalidRequest, for one with bits set beyond its prefix too: it is most likely a slip."""
    try:
        return str(ip_network(text, strict=True))
    except ValueError:
        raise InvalidRequest(f"not a network in CIDR notation: {text[:60]!r}", code="network_invalid") from None


def among(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks. IPv4 written as IPv6 (::ffff:192.0.2.1) is IPv4."""
    parsed = _address(address)
    return parsed is not None and any(parsed in _network(each) for each in networks)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text or "")
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


@lru_cache(maxsize=4_096)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
