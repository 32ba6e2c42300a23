"""Whose answer it is, and what it means that none came: nothing is believed that WeChat Pay did not sign."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.channels import ChannelState
from domain.errors import (
    AccountRefused,
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    OutcomeUnknown,
)
from tests.unit.adapters.wechat.calls import CALLS, CODE, OK, call_it
from tests.unit.adapters.wechat.world import (
    NUMBER,
    SERIAL,
    World,
    answer,
    certificate,
    paid,
    refused,
    signed,
    unsigned,
)

# ── Whose answer it is ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("serial", [f"{SERIAL:040X}", f"{SERIAL:040x}", f"{SERIAL:X}"])
async def test_the_verifier_is_chosen_by_the_serial_while_a_merchant_moves_over(
    world: World, call: str, serial: str
) -> None:
    await call_it(world, call, answer(*OK[call], by="platform", serial=serial))
    await call_it(world, call, answer(*OK[call]))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"by": "thief"}, "bad_signature"),
        ({"by": "merchant"}, "bad_signature"),
        ({"by": "platform"}, "bad_signature"),
        ({"serial": f"{SERIAL:040X}"}, "bad_signature"),
        ({"serial": "PUB_KEY_ID_0000000000000000000000000000000000"}, "serial_unknown"),
        ({"serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"}, "serial_unknown"),
        ({"serial": "not hexadecimal at all"}, "serial_unknown"),
        ({"signature": None}, "signature_missing"),
        ({"timestamp": None}, "signature_missing"),
        ({"nonce": None}, "signature_missing"),
        ({"serial": ""}, "signature_missing"),
        ({"signature": "!!!"}, "bad_signature"),
        ({"signature": "AAAA"}, "bad_signature"),
        ({"signature": "WECHATPAY/SIGNTEST/AAAA"}, "signature_probe"),
        ({"signature_type": "WECHATPAY2-SM2-WITH-SM3"}, "signature_type"),
        ({"timestamp": "soon"}, "timestamp_invalid"),
        ({"timestamp": "-1"}, "timestamp_invalid"),
        ({"timestamp": "9" * 400}, "timestamp_invalid"),
        ({"nonce": "another"}, "bad_signature"),
    ],
)
async def test_an_answer_that_is_not_rightly_signed_is_not_believed_and_nothing_is_fetched_for_it(
    world: World, call: str, how: dict[str, Any], code: str
) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(*OK[call], **how)

    with pytest.raises(OutcomeUnknown) as doubt:
        await call_it(world, call, gateway)
    assert doubt.value.code == code
    assert len(heard) == 1


@pytest.mark.parametrize("offset", [-301, 400])
async def test_an_answer_of_another_time_is_a_replay(world: World, offset: int) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await call_it(world, "query", answer(200, paid(), at=datetime.now(UTC) + timedelta(seconds=offset)))
    assert doubt.value.code == "timestamp_stale"


async def test_an_answer_without_a_signature_type_is_verified_by_our_algorithm(world: World) -> None:
    assert (await call_it(world, "query", answer(200, paid(), signature_type=None))).state is ChannelState.PAID
    with pytest.raises(OutcomeUnknown):
        await call_it(world, "query", answer(200, paid(), signature_type=None, by="thief"))


async def test_an_expired_certificate_signs_nothing_any_more(world: World) -> None:
    old = world.credential({"platform_certificates": certificate(0xABC, datetime.now(UTC) - timedelta(days=1))})
    async with world.adapter(lambda _: answer(200, paid(), by="platform", serial="ABC")) as wechat:
        with pytest.raises(OutcomeUnknown) as doubt:
            await wechat.query(world.access(old), NUMBER)
    assert doubt.value.code == "serial_unknown"


async def test_a_forged_absence_does_not_make_a_payment_disappear(world: World) -> None:
    for forged in (
        unsigned(404, refused("ORDER_NOT_EXIST")),
        answer(404, refused("ORDER_NOT_EXIST"), by="thief"),
        answer(404, refused("ORDER_NOT_EXIST"), serial="PUB_KEY_ID_1"),
    ):
        with pytest.raises(OutcomeUnknown):
            await call_it(world, "query", forged)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (200, "", OutcomeUnknown),
        (204, "", OutcomeUnknown),
        (400, "ORDERPAID", OutcomeUnknown),
        (400, "ORDER_CLOSED", OutcomeUnknown),
        (400, "PARAM_ERROR", OutcomeUnknown),
        (404, "ORDER_NOT_EXIST", OutcomeUnknown),
        (500, "SYSTEM_ERROR", OutcomeUnknown),
        (302, "", OutcomeUnknown),
        (401, "SIGN_ERROR", ChannelUnavailable),
        (429, "FREQUENCY_LIMITED", ChannelUnavailable),
    ],
)
async def test_an_unsigned_answer_is_never_definite(
    world: World, call: str, status: int, code: str, error: type[ChannelError]
) -> None:
    content = CODE | paid() if status == 200 else refused(code)
    with pytest.raises(error) as raised:
        await call_it(world, call, unsigned(status, content))
    assert type(raised.value) is error


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "PARAM_ERROR", ChannelRejected),
        (400, "APPID_MCHID_NOT_MATCH", AccountRefused),
        (400, "MCH_NOT_EXISTS", AccountRefused),
        (403, "OUT_TRADE_NO_USED", ChannelRejected),
        (403, "NO_AUTH", AccountRefused),
        (401, "SIGN_ERROR", ChannelUnavailable),
        (403, "FREQUENCY_LIMITED", ChannelUnavailable),
        (429, "FREQUENCY_LIMITED", ChannelUnavailable),
        (429, "RATELIMIT_EXCEEDED", ChannelUnavailable),
        (500, "SYSTEM_ERROR", OutcomeUnknown),
        (500, "ORDER_NOT_EXIST", OutcomeUnknown),
        (503, "BANK_ERROR", OutcomeUnknown),
        (400, "SYSTEM_ERROR", OutcomeUnknown),
        (202, "USERPAYING", OutcomeUnknown),
        (400, "", OutcomeUnknown),
    ],
)
async def test_a_signed_refusal_is_final_only_where_it_says_no(
    world: World, call: str, status: int, code: str, error: type[ChannelError]
) -> None:
    with pytest.raises(error) as raised:
        await call_it(world, call, answer(status, refused(code)))
    assert type(raised.value) is error
    if issubclass(error, ChannelRejected):
        assert raised.value.code == code


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b"\xff", b"[" * 100_000])
async def test_a_signed_answer_that_is_no_object_leaves_the_outcome_unknown(
    world: World, call: str, body: bytes
) -> None:
    with pytest.raises(OutcomeUnknown):
        await call_it(world, call, answer(200, body))


# ── Transport ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (httpx.ConnectError, ChannelUnavailable),
        (httpx.ConnectTimeout, ChannelUnavailable),
        (httpx.PoolTimeout, ChannelUnavailable),
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.WriteTimeout, OutcomeUnknown),
        (httpx.ReadError, OutcomeUnknown),
        (httpx.WriteError, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
    ],
)
async def test_only_what_was_never_sent_may_be_repeated(
    world: World, call: str, cause: type[httpx.RequestError], error: type[ChannelError]
) -> None:
    def fails(request: httpx.Request) -> None:
        raise cause("down", request=request)

    with pytest.raises(error) as raised:
        await call_it(world, call, fails)
    assert type(raised.value) is error


async def test_an_answer_without_end_is_given_up(world: World) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await call_it(world, "query", answer(200, b" " * ((1 << 20) + 1)))
    assert doubt.value.code == "answer_too_large"


async def test_a_small_answer_cannot_unfold_into_a_large_one(world: World) -> None:
    heard: list[str] = []

    def bomb(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["accept-encoding"])
        plain = json.dumps(paid()).encode()
        headers = signed(plain) | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, content=gzip.compress(plain))

    with pytest.raises(OutcomeUnknown) as doubt:
        await call_it(world, "query", bomb)
    assert (doubt.value.code, heard) == ("bad_signature", ["identity"])


@pytest.mark.parametrize("call", CALLS)
async def test_the_deadline_is_for_the_whole_call(world: World, call: str) -> None:
    async def drip() -> Any:
        while True:
            yield b" "  # each read is quick; only the whole never ends
            await asyncio.sleep(0.01)

    with pytest.raises(OutcomeUnknown) as doubt:
        await call_it(world, call, lambda _: httpx.Response(200, content=drip()), deadline_seconds=0.2)
    assert doubt.value.code == "deadline"


async def test_the_shared_client_outlives_the_calls(world: World) -> None:
    async with world.adapter(lambda _: answer(200, paid())) as wechat:
        access = world.access()
        await asyncio.gather(*(wechat.query(access, NUMBER) for _ in range(5)))
        assert not wechat._client.is_closed
        assert len(wechat._keys._loaded) == 1
