"""Which addresses a merchant's keys work from."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.networks import among, network


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_a_network_has_one_spelling(text: str, stored: str) -> None:
    assert network(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "203.0.113",
        "203.0.113.0/33",
        "203.0.113.1/24",
        "203.0.113.0/-1",
        "10.0.0.0/8,",
        "fe80::1%eth0/64",
        "x" * 999,
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        network(text)
    assert caught.value.code == "network_invalid"
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("address", "networks", "admitted"),
    [
        ("203.0.113.7", ["203.0.113.7/32"], True),
        ("203.0.113.70", ["203.0.113.7/32"], False),  # a substring is not an address
        ("3.0.113.7", ["203.0.113.7/32"], False),
        ("203.0.113.255", ["203.0.113.0/24"], True),
        ("203.0.114.0", ["203.0.113.0/24"], False),
        ("::ffff:203.0.113.7", ["203.0.113.0/24"], True),
        ("2001:db8:1::5", ["203.0.113.0/24", "2001:db8::/32"], True),
        ("2001:db9::5", ["2001:db8::/32"], False),
        ("203.0.113.7", ["::/0"], False),
        ("203.0.113.7", [], False),
        ("203.0.113.7, 10.0.0.1", ["0.0.0.0/0"], False),
        ("", ["0.0.0.0/0", "::/0"], False),
        (None, ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str | None, networks: list[str], admitted: bool) -> None:
    assert among(address, networks) is admitted


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_being_within_is_having_the_same_first_bits(address: object, base: object, length: int) -> None:
    net = ip_network((str(base), length), strict=False)
    same = int(ip_address(str(address))) >> (32 - length) == int(ip_address(str(base))) >> (32 - length)
    assert among(str(address), [str(net)]) is same
