"""Whose address counts: the peer's, or what a trusted proxy says, read from the right."""

from ipaddress import ip_network
from typing import Any

import pytest
from litestar.testing import RequestFactory

from adapters.inbound.http.address import ClientAddress

TRUSTED = ClientAddress([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def seen(peer: str | None, *forwarded: str, addresses: ClientAddress = TRUSTED) -> str | None:
    request: Any = RequestFactory().get("/")
    request.scope["client"] = (peer, 1) if peer else None
    request.scope["headers"] = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return addresses.of(request)


@pytest.mark.parametrize(("peer", "forwarded", "expected"), [
    ("203.0.113.7", [], "203.0.113.7"),
    ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # whoever says so
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the left is the client's own invention
    ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),  # two proxies of ours
    ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),  # two lines are one list
    ("10.0.0.1", ["198.51.100.1, rubbish"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1, rubbish, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", ["1.1.1.1," * 5_000 + "10.0.0.2"], "1.1.1.1"),
    ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
    ("::ffff:10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
    ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    (None, ["198.51.100.1"], None),
    ("unix", ["198.51.100.1"], None),
])  # fmt: skip
def test_the_client_is_the_last_hop_that_is_not_ours(peer: str | None, forwarded: list[str], expected: str) -> None:
    assert seen(peer, *forwarded) == expected


def test_without_a_trusted_proxy_nobody_is_believed() -> None:
    assert seen("10.0.0.1", "198.51.100.1", addresses=ClientAddress()) == "10.0.0.1"
