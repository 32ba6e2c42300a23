"""Which URLs a merchant may register, and which addresses are ever connected to."""

import ipaddress
import socket

import pytest

from adapters.outbound.courier.guard import (
    BlockedAddress,
    GuardedResolver,
    check_address,
    check_url,
    parse_url,
    system_lookup,
)
from domain.errors import InvalidRequest

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "223.5.5.5",
    "2606:4700::1111",
    "2400:3200::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "::1",
    "fd00:ec2::254",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::7f00:1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_free(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", PRIVATE + NEVER)
def test_an_address_that_is_not_public_is_blocked(address: str) -> None:
    with pytest.raises(BlockedAddress):
        check_address(address)


@pytest.mark.parametrize("address", [a for a in PRIVATE + NEVER if ":" not in a])
def test_the_same_address_in_an_ipv6_coat_is_blocked(address: str) -> None:
    with pytest.raises(BlockedAddress):
        check_address(f"::ffff:{address}")


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:127.0.0.1"])
def test_private_networks_can_be_opened_for_the_demo(address: str) -> None:
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_a_clouds_metadata_and_the_like_stay_blocked_even_then(address: str) -> None:
    with pytest.raises(BlockedAddress):
        check_address(address, allow_private=True)


def test_nothing_is_free_that_the_standard_library_calls_local() -> None:
    for i in range(0, 2**32, 65_537 * 17):
        address = ipaddress.IPv4Address(i)
        if not address.is_global or address.is_multicast:
            with pytest.raises(BlockedAddress):
                check_address(str(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "https://shop.example:8443/hook?a=1#part",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://商店.example/通知",
        "HTTPS://SHOP.EXAMPLE",
    ],
)
def test_a_proper_url_is_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hook",
        "//shop.example/hook",
        "/hook",
        "http://shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://shop.example:80/",
        "javascript:alert(1)",
        "https://",
        "https:///hook",
        "https://:443/",
        "https://shop.example:22/",
        "https://shop.example:6379/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:x/",
        "https://user@shop.example/",
        "https://user:pass@shop.example/",
        "https://:@shop.example/",
        "https://shop.example\\@127.0.0.1/",
        "https://shop.example /",
        " https://shop.example/",
        "https://shop.example/\n",
        "https://shop.example/\r\nX: y",
        "https://shop.example/\x00",
        "https://shop.example./",
        "https://localhost/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://１２７.０.０.１/",
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://shop.example/" + "x" * 2048,
    ],
)
def test_a_url_we_would_never_send_to_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_url(url)
    assert refused.value.code == "url_invalid"


def test_plain_http_is_accepted_only_where_it_is_allowed() -> None:
    check_url("http://shop.example/", allow_http=True)
    with pytest.raises(InvalidRequest):
        check_url("http://127.0.0.1/", allow_http=True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:39123/hook", "http://localhost:8001/", "https://[::1]:9/"])
def test_the_demo_may_use_its_own_machine(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://user@127.0.0.1/", "http://169.254.169.254/", "ftp://127.0.0.1/", "http://127.1/"]
)
def test_even_the_demo_refuses_what_is_never_right(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url, allow_private=True)


def test_what_was_checked_is_what_is_used() -> None:
    assert str(parse_url("https://商店.example/通知?a=1#x")) == "https://xn--czrs0t.example/%E9%80%9A%E7%9F%A5?a=1#x"


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    resolver = GuardedResolver(allow_private=False, lookup=lambda *_: ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(BlockedAddress) as blocked:
        await resolver.resolve("shop.example", 443)
    assert "10.0.0.1" not in str(blocked.value)
    await resolver.close()


async def test_a_name_keeps_all_its_public_addresses() -> None:
    resolver = GuardedResolver(allow_private=False, lookup=lambda *_: ["1.1.1.1", "2606:4700::1111"])
    found = await resolver.resolve("shop.example", 443)
    assert [(each["host"], each["family"]) for each in found] == [
        ("1.1.1.1", socket.AF_INET),
        ("2606:4700::1111", socket.AF_INET6),
    ]
    await resolver.close()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
async def test_spellings_that_only_a_resolver_understands_are_blocked_by_their_address(host: str) -> None:
    resolver = GuardedResolver(allow_private=False, lookup=system_lookup)
    with pytest.raises(BlockedAddress):
        await resolver.resolve(host, 443)
    await resolver.close()


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_name_that_cannot_be_one_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match="name"):
        system_lookup(host, 443)
