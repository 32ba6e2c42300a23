"""What each answer of WeChat Pay, and each lack of one, means to us."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import pytest

from adapters.outbound.wechat import keys
from domain.channels import ActionType, ChannelState, Mode, PayerAction
from domain.errors import (
    AccountRefused,
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    InvalidRequest,
    OutcomeUnknown,
)
from domain.money import Money
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCH_SERIAL,
    MCHID,
    NUMBER,
    PUBLIC_KEY_ID,
    SERIAL,
    World,
    answer,
    authorized,
    certificate,
    opening,
    paid,
    refused,
    signed,
    unsigned,
)

CALLS = ("open", "query", "close")
CODE = {"code_url": "weixin://wxpay/bizpayurl?pr=abc"}
OK = {"open": (200, CODE), "query": (200, paid()), "close": (204, b"")}


@cache
def _keys() -> keys.MerchantKeys:
    """Loaded once: what these tests are about comes after that."""
    world = World()
    credential = world.credential({"platform_certificates": certificate()})
    return keys.load(world.vault, credential, MCHID)


async def _call(world: World, call: str, said: Any, *, number: str = NUMBER, **options: Any) -> Any:
    """Makes one of the three calls; ``said`` is the answer, or a function that gives it or raises."""
    async with world.adapter(said if callable(said) else lambda _: said, **options) as wechat:
        wechat._keys._loaded["crd_1", 1, MCHID, Mode.TEST] = _keys()
        if call == "open":
            return await wechat.open(world.access(), opening(number=number))
        return await getattr(wechat, call)(world.access(), number)


# ── What we send ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_opening_says_number_amount_and_the_expiry_with_beijings_offset(world: World) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, CODE)

    assert await _call(world, "open", gateway) == PayerAction(ActionType.QR_CODE, CODE["code_url"])
    (request,) = heard
    assert (request.method, str(request.url)) == ("POST", "https://wechat.invalid/v3/pay/transactions/native")
    assert json.loads(request.content) == {
        "appid": APP_ID,
        "mchid": MCHID,
        "description": "火龙果",
        "out_trade_no": NUMBER,
        "amount": {"total": 8888, "currency": "CNY"},
        "time_expire": "2026-11-24T00:30:05+08:00",
        "notify_url": "https://pay.example/notices/wechat/acc_1",
    }


@pytest.mark.parametrize("call", CALLS)
async def test_each_request_is_signed_and_names_the_key_we_expect(world: World, call: str) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(*OK[call])

    await _call(world, call, gateway)
    parts = authorized(heard[0])
    assert (parts["mchid"], parts["serial_no"]) == (MCHID, MCH_SERIAL)
    assert heard[0].headers["Wechatpay-Serial"] == PUBLIC_KEY_ID


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", ["a|bcdefg", "../../../v3/x", "short", "x" * 33, "PTY?a=b", "PTY*00000", ""])
async def test_a_number_that_the_sdk_would_sign_wrongly_is_never_sent(world: World, call: str, number: str) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    with pytest.raises(InvalidRequest) as refusal:
        await _call(world, call, never, number=number)
    assert refusal.value.code == "number_invalid"


# ── Whose answer it is ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("serial", [f"{SERIAL:040X}", f"{SERIAL:040x}", f"{SERIAL:X}"])
async def test_the_verifier_is_chosen_by_the_serial_while_a_merchant_moves_over(
    world: World, call: str, serial: str
) -> None:
    await _call(world, call, answer(*OK[call], by="platform", serial=serial))
    await _call(world, call, answer(*OK[call]))


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
        await _call(world, call, gateway)
    assert doubt.value.code == code
    assert len(heard) == 1


@pytest.mark.parametrize("offset", [-301, 400])
async def test_an_answer_of_another_time_is_a_replay(world: World, offset: int) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", answer(200, paid(), at=datetime.now(UTC) + timedelta(seconds=offset)))
    assert doubt.value.code == "timestamp_stale"


async def test_an_answer_without_a_signature_type_is_verified_by_our_algorithm(world: World) -> None:
    assert (await _call(world, "query", answer(200, paid(), signature_type=None))).state is ChannelState.PAID
    with pytest.raises(OutcomeUnknown):
        await _call(world, "query", answer(200, paid(), signature_type=None, by="thief"))


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
            await _call(world, "query", forged)


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
        await _call(world, call, unsigned(status, content))
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
        await _call(world, call, answer(status, refused(code)))
    assert type(raised.value) is error
    if issubclass(error, ChannelRejected):
        assert raised.value.code == code


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b"\xff", b"[" * 100_000])
async def test_a_signed_answer_that_is_no_object_leaves_the_outcome_unknown(
    world: World, call: str, body: bytes
) -> None:
    with pytest.raises(OutcomeUnknown):
        await _call(world, call, answer(200, body))


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
        await _call(world, call, fails)
    assert type(raised.value) is error


async def test_an_answer_without_end_is_given_up(world: World) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", answer(200, b" " * ((1 << 20) + 1)))
    assert doubt.value.code == "answer_too_large"


async def test_a_small_answer_cannot_unfold_into_a_large_one(world: World) -> None:
    heard: list[str] = []

    def bomb(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["accept-encoding"])
        plain = json.dumps(paid()).encode()
        headers = signed(plain) | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, content=gzip.compress(plain))

    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", bomb)
    assert (doubt.value.code, heard) == ("bad_signature", ["identity"])


@pytest.mark.parametrize("call", CALLS)
async def test_the_deadline_is_for_the_whole_call(world: World, call: str) -> None:
    async def drip() -> Any:
        while True:
            yield b" "  # each read is quick; only the whole never ends
            await asyncio.sleep(0.01)

    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, call, lambda _: httpx.Response(200, content=drip()), deadline_seconds=0.2)
    assert doubt.value.code == "deadline"


async def test_the_shared_client_outlives_the_calls(world: World) -> None:
    async with world.adapter(lambda _: answer(200, paid())) as wechat:
        access = world.access()
        await asyncio.gather(*(wechat.query(access, NUMBER) for _ in range(5)))
        assert not wechat._client.is_closed
        assert len(wechat._keys._loaded) == 1


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_opening_what_was_paid_is_refused_as_paid(world: World) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _call(world, "open", answer(400, refused("ORDERPAID")))
    assert refusal.value.code == "trade_paid"


@pytest.mark.parametrize("content", [{}, {"code_url": ""}, {"code_url": 7}])
async def test_a_success_without_a_code_is_no_success(world: World, content: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        await _call(world, "open", answer(200, content))


async def test_a_long_subject_is_cut_to_what_wechat_pay_takes(world: World) -> None:
    heard: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content)["description"])
        return answer(200, CODE)

    async with world.adapter(gateway) as wechat:
        await wechat.open(world.access(), opening(subject="果" * 128))
    assert heard == ["果" * 127]


# ── Queries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_paid_order_has_a_receipt_with_all_three_amounts(world: World) -> None:
    report = await _call(world, "query", answer(200, paid()))
    assert (report.number, report.state) == (NUMBER, ChannelState.PAID)
    receipt = report.receipt
    # Only the coupon that brings no money lowers what is received; the other one is paid into the account.
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert receipt.paid_at == datetime(2026, 11, 23, 16, 10, 5, tzinfo=UTC)
    assert (receipt.app_id, receipt.payee, receipt.number) == (APP_ID, MCHID, NUMBER)
    assert receipt.transaction_id == "4200000000202611230000000001"


async def test_without_coupons_all_three_amounts_are_the_total(world: World) -> None:
    report = await _call(world, "query", answer(200, paid(promotion_detail=None, amount={"total": 8888})))
    assert report.receipt.received == report.receipt.payer_paid == report.receipt.total == Money(8888)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("SUCCESS", ChannelState.PAID),
        ("REFUND", ChannelState.PAID),
        ("NOTPAY", ChannelState.PENDING),
        ("USERPAYING", ChannelState.PENDING),
        ("ACCEPT", ChannelState.PENDING),
        ("CLOSED", ChannelState.CLOSED),
        ("REVOKED", ChannelState.CLOSED),
        ("PAYERROR", ChannelState.FAILED),
    ],
)
async def test_each_trade_state_is_one_state(world: World, said: str, state: ChannelState) -> None:
    unpaid = {"transaction_id": None, "success_time": None, "amount": None} if state is not ChannelState.PAID else {}
    report = await _call(world, "query", answer(200, paid(trade_state=said, **unpaid)))
    assert (report.state, report.detail) == (state, said)


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST"])
async def test_an_order_that_wechat_pay_does_not_know_is_absent(world: World, code: str) -> None:
    assert (await _call(world, "query", answer(404, refused(code)))).state is ChannelState.ABSENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"out_trade_no": "PTY01K0000000000000000000000AC"}, "answer_mismatch"),
        ({"appid": "wx0000000000000002"}, "answer_mismatch"),
        ({"mchid": "1900000002"}, "answer_mismatch"),
        ({"mchid": None}, "answer_mismatch"),
        ({"trade_state": "NEW"}, "answer_invalid"),
        ({"trade_state": None}, "answer_invalid"),
        ({"transaction_id": None}, "answer_invalid"),
        ({"success_time": None}, "answer_invalid"),
        ({"success_time": "2026-11-24T00:10:05"}, "answer_invalid"),
        ({"success_time": "yesterday"}, "answer_invalid"),
        ({"amount": None}, "answer_invalid"),
        ({"amount": 8888}, "answer_invalid"),
        ({"amount": {"total": "8888"}}, "amount_invalid"),
        ({"amount": {"total": 88.88}}, "amount_invalid"),
        ({"amount": {"total": True}}, "amount_invalid"),
        ({"amount": {"total": -1}}, "amount_invalid"),
        ({"amount": {"total": 8888, "payer_total": None}}, "amount_invalid"),
        ({"amount": {"total": 8888, "currency": "USD"}}, "currency"),
        ({"amount": {"total": 8888, "payer_currency": "HKD"}}, "currency"),
        ({"promotion_detail": {"type": "NOCASH"}}, "answer_invalid"),
        ({"promotion_detail": [7]}, "answer_invalid"),
        ({"promotion_detail": [{"type": "NOCASH", "amount": "1"}]}, "amount_invalid"),
        ({"promotion_detail": [{"type": "NOCASH", "amount": 8889}]}, "amount_invalid"),
    ],
)
async def test_a_signed_answer_that_does_not_fit_leaves_the_outcome_unknown(
    world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", answer(200, paid(**changes)))
    assert doubt.value.code == code


# ── Closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "content"),
    [(204, b""), (400, refused("ORDER_CLOSED")), (404, refused("ORDER_NOT_EXIST")), (404, refused("ORDERNOTEXIST"))],
)
async def test_closing_returns_when_nobody_can_pay_it_any_more(world: World, status: int, content: Any) -> None:
    assert await _call(world, "close", answer(status, content)) is None


@pytest.mark.parametrize("code", ["ORDERPAID", "ORDER_PAID"])
async def test_closing_what_was_paid_is_refused_as_paid(world: World, code: str) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _call(world, "close", answer(400, refused(code)))
    assert refusal.value.code == "trade_paid"


@pytest.mark.parametrize("status", [200, 202])
async def test_only_204_is_a_close(world: World, status: int) -> None:
    with pytest.raises(OutcomeUnknown):
        await _call(world, "close", answer(status, {}))


# ── Set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
async def test_a_mode_without_a_gateway_is_refused_before_anything_is_sent(world: World, call: str) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    async with world.adapter(never) as wechat:
        access = world.access(mode=Mode.LIVE)
        with pytest.raises(ChannelUnavailable) as refusal:
            await (wechat.open(access, opening()) if call == "open" else getattr(wechat, call)(access, NUMBER))
    assert refusal.value.code == "gateway_missing"


async def test_a_burst_of_first_calls_loads_the_keys_once_and_a_rotation_loads_them_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = world.vault.open

    def counted(context: str, sealed: bytes) -> bytes:
        opened.append(context)
        return original(context, sealed)

    monkeypatch.setattr(world.vault, "open", counted)
    async with world.adapter(lambda _: answer(200, paid())) as wechat:
        access = world.access()
        await asyncio.gather(*(wechat.query(access, NUMBER) for _ in range(8)))
        assert len(opened) == 1
        await wechat.query(replace(access, credential=replace(access.credential, version=2)), NUMBER)
        assert len(opened) == 2
