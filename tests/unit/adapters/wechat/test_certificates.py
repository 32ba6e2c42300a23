"""Platform certificates: fetched by the clock, verified by themselves, and never because somebody named a serial."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.outbound.wechat import certificates
from adapters.outbound.wechat.certificates import PlatformCertificates
from domain.channels import ChannelState
from domain.errors import ChannelUnavailable, InvalidRequest, NoticeRejected, OutcomeUnknown
from tests.unit.adapters.wechat.world import (
    APIV3,
    NUMBER,
    PUBLIC_KEY_ID,
    SERIAL,
    World,
    answer,
    authorized,
    certificate,
    envelope,
    paid,
    refused,
    seal,
    signed,
    unsigned,
)

BY_CERTIFICATE = {"public_key": None, "public_key_id": None, "platform_certificates": "download"}
HEX, NEXT = f"{SERIAL:040X}", 0xABCDEF
OLD, NEW = {"by": "platform", "serial": HEX}, {"by": "platform", "serial": f"{NEXT:X}"}


def _list(*pems: str, apiv3: str = APIV3, **how: Any) -> httpx.Response:
    data = [
        {
            "serial_no": HEX,
            "effective_time": "2025-01-01T00:00:00+08:00",
            "expire_time": "2030-01-01T00:00:00+08:00",
            "encrypt_certificate": seal(pem.encode(), "certificate", apiv3),
        }
        for pem in pems
    ]
    return answer(200, {"data": data}, **(how or OLD))


class Box:
    """WeChat Pay with a list of certificates that changes; it writes down what is asked of it."""

    def __init__(self) -> None:
        self.listed: Callable[[], httpx.Response] = lambda: _list(certificate())
        self.signs: dict[str, Any] = OLD
        self.asked: list[str] = []

    @property
    def fetches(self) -> int:
        return self.asked.count("/v3/certificates")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        authorized(request)
        assert "Wechatpay-Serial" not in request.headers  # it names a public key, and there is none
        if request.url.path == "/v3/certificates":
            return self.listed()
        return answer(200, paid(), **self.signs)


@pytest.fixture
def box() -> Box:
    return Box()


async def test_a_merchant_without_a_public_key_fetches_its_certificates_once(world: World, box: Box) -> None:
    access = world.access(world.credential(BY_CERTIFICATE))
    async with world.adapter(box) as wechat:
        reports = await asyncio.gather(*(wechat.query(access, NUMBER) for _ in range(5)))
    assert {report.state for report in reports} == {ChannelState.PAID}
    assert box.fetches == 1


async def test_a_forged_serial_fetches_nothing_and_is_not_believed(world: World, box: Box) -> None:
    access = world.access(world.credential(BY_CERTIFICATE))
    async with world.adapter(box) as wechat:
        await wechat.query(access, NUMBER)
        for serial in ("1234ABCD", "not hexadecimal", PUBLIC_KEY_ID, "../../v3/certificates"):
            box.signs = {"by": "platform", "serial": serial}
            with pytest.raises(OutcomeUnknown):
                await wechat.query(access, NUMBER)
            body = envelope()
            now = datetime.now(UTC)
            with pytest.raises(NoticeRejected):
                await wechat.read(access, signed(body, at=now, by="thief", serial=serial), body, now=now)
    assert box.fetches == 1


async def test_a_new_certificate_is_there_before_it_signs_and_the_old_one_goes_with_the_list(
    world: World, box: Box
) -> None:
    access = world.access(world.credential(BY_CERTIFICATE))
    async with world.adapter(box) as wechat:
        wechat._certificates = PlatformCertificates(refresh_seconds=0)
        await wechat.query(access, NUMBER)
        box.listed = lambda: _list(certificate(), certificate(NEXT))
        await wechat.query(access, NUMBER)
        box.signs = NEW
        assert (await wechat.query(access, NUMBER)).state is ChannelState.PAID
        box.listed = lambda: _list(certificate(NEXT), **NEW)
        assert (await wechat.query(access, NUMBER)).state is ChannelState.PAID
        box.signs = OLD  # off the list: WeChat Pay does not sign with it any more
        with pytest.raises(OutcomeUnknown):
            await wechat.query(access, NUMBER)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: unsigned(500, {}),
        lambda: unsigned(200, {"data": []}),
        lambda: answer(200, b"<html>", **OLD),
        lambda: answer(404, refused("RESOURCE_NOT_EXISTS"), **OLD),
        lambda: _list(certificate(), by="thief", serial=HEX),
        lambda: _list(certificate(), apiv3="x" * 32),
        lambda: _list("no certificate"),
        lambda: _list(certificate(NEXT), by="platform", serial=HEX),
    ],
)
async def test_a_list_that_cannot_be_believed_changes_nothing(
    world: World, box: Box, broken: Callable[[], httpx.Response]
) -> None:
    access = world.access(world.credential(BY_CERTIFICATE))
    async with world.adapter(box) as wechat:
        wechat._certificates = PlatformCertificates(refresh_seconds=0)
        await wechat.query(access, NUMBER)
        box.listed = broken
        for _ in range(3):
            assert (await wechat.query(access, NUMBER)).state is ChannelState.PAID
        assert box.fetches == 2  # the next try has time


async def test_without_any_certificate_nothing_is_sent_and_nothing_is_believed(world: World, box: Box) -> None:
    access = world.access(world.credential(BY_CERTIFICATE))
    box.listed = lambda: unsigned(503, {})
    body, now = envelope(), datetime.now(UTC)
    async with world.adapter(box) as wechat:
        for _ in range(3):
            with pytest.raises(ChannelUnavailable, match="no platform certificate"):
                await wechat.query(access, NUMBER)
            with pytest.raises(ChannelUnavailable):
                await wechat.read(access, signed(body, at=now, **OLD), body, now=now)
    assert box.asked == ["/v3/certificates"]


async def test_a_fetch_that_hangs_does_not_hold_up_what_can_be_verified(
    world: World, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "FETCH_SECONDS", 0.05)
    access = world.access(world.credential({**BY_CERTIFICATE, "platform_certificates": certificate()}))

    async def hang() -> Any:
        await asyncio.sleep(60)
        yield b""

    box.listed = lambda: httpx.Response(200, content=hang())
    async with world.adapter(box) as wechat:
        async with asyncio.timeout(5):
            reports = await asyncio.gather(*(wechat.query(access, NUMBER) for _ in range(3)))
    assert {report.state for report in reports} == {ChannelState.PAID}
    assert box.fetches == 1


async def test_an_expired_certificate_on_the_list_signs_nothing(world: World, box: Box) -> None:
    expired = certificate(NEXT, datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
    box.listed = lambda: _list(certificate(), expired)
    box.signs = NEW
    access = world.access(world.credential(BY_CERTIFICATE))
    async with world.adapter(box) as wechat:
        with pytest.raises(OutcomeUnknown) as doubt:
            await wechat.query(access, NUMBER)
    assert doubt.value.code == "serial_unknown"


async def test_a_merchant_that_moves_over_may_have_its_certificates_fetched_beside_the_public_key(
    world: World,
) -> None:
    asked: list[str] = []

    def both(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        assert request.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
        if request.url.path == "/v3/certificates":
            return _list(certificate(), serial=PUBLIC_KEY_ID)  # by now the list itself may be signed with the key
        return answer(200, paid(), **(OLD if len(asked) % 2 else {}))

    access = world.access(world.credential({"platform_certificates": "download"}))
    async with world.adapter(both) as wechat:
        for _ in range(4):
            assert (await wechat.query(access, NUMBER)).state is ChannelState.PAID
    assert asked.count("/v3/certificates") == 1


async def test_with_a_public_key_alone_nothing_is_fetched(world: World) -> None:
    asked: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answer(200, paid(), **OLD)

    async with world.adapter(gateway) as wechat:
        with pytest.raises(OutcomeUnknown):
            await wechat.query(world.access(), NUMBER)
    assert "/v3/certificates" not in asked


@pytest.mark.parametrize(
    ("public", "code"),
    [
        ({"public_key": None, "public_key_id": None}, "public_key_invalid"),
        ({"public_key": None, "platform_certificates": "download"}, "public_key_invalid"),
        ({"public_key_id": None, "platform_certificates": "download"}, "public_key_id_invalid"),
        ({"public_key": None, "public_key_id": None, "platform_certificates": "none"}, "platform_certificates_invalid"),
    ],
)
async def test_half_a_set_up_is_refused_by_name(world: World, public: dict[str, Any], code: str) -> None:
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        with pytest.raises(InvalidRequest) as refusal:
            wechat.check(world.credential(public), "1900000001")
    assert refusal.value.code == code
