"""What each answer of WeChat Pay to opening, asking and closing means to us."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.channels import ActionType, ChannelState, Mode, PayerAction
from domain.errors import (
    ChannelRejected,
    ChannelUnavailable,
    InvalidRequest,
    OutcomeUnknown,
)
from domain.money import Money
from tests.unit.adapters.wechat.calls import CALLS, CODE, OK, call_it
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCH_SERIAL,
    MCHID,
    NUMBER,
    PUBLIC_KEY_ID,
    World,
    answer,
    authorized,
    opening,
    paid,
    refused,
)

# ── What we send ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_opening_says_number_amount_and_the_expiry_with_beijings_offset(world: World) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, CODE)

    assert await call_it(world, "open", gateway) == PayerAction(ActionType.QR_CODE, CODE["code_url"])
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

    await call_it(world, call, gateway)
    parts = authorized(heard[0])
    assert (parts["mchid"], parts["serial_no"]) == (MCHID, MCH_SERIAL)
    assert heard[0].headers["Wechatpay-Serial"] == PUBLIC_KEY_ID


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", ["a|bcdefg", "../../../v3/x", "short", "x" * 33, "PTY?a=b", "PTY*00000", ""])
async def test_a_number_that_the_sdk_would_sign_wrongly_is_never_sent(world: World, call: str, number: str) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    with pytest.raises(InvalidRequest) as refusal:
        await call_it(world, call, never, number=number)
    assert refusal.value.code == "number_invalid"


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_opening_what_was_paid_is_refused_as_paid(world: World) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await call_it(world, "open", answer(400, refused("ORDERPAID")))
    assert refusal.value.code == "trade_paid"


@pytest.mark.parametrize("content", [{}, {"code_url": ""}, {"code_url": 7}])
async def test_a_success_without_a_code_is_no_success(world: World, content: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        await call_it(world, "open", answer(200, content))


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
    report = await call_it(world, "query", answer(200, paid()))
    assert (report.number, report.state) == (NUMBER, ChannelState.PAID)
    receipt = report.receipt
    # Only the coupon that brings no money lowers what is received; the other one is paid into the account.
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert receipt.paid_at == datetime(2026, 11, 23, 16, 10, 5, tzinfo=UTC)
    assert (receipt.app_id, receipt.payee, receipt.number) == (APP_ID, MCHID, NUMBER)
    assert receipt.transaction_id == "4200000000202611230000000001"


async def test_without_coupons_all_three_amounts_are_the_total(world: World) -> None:
    report = await call_it(world, "query", answer(200, paid(promotion_detail=None, amount={"total": 8888})))
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
    report = await call_it(world, "query", answer(200, paid(trade_state=said, **unpaid)))
    assert (report.state, report.detail) == (state, said)


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST"])
async def test_an_order_that_wechat_pay_does_not_know_is_absent(world: World, code: str) -> None:
    assert (await call_it(world, "query", answer(404, refused(code)))).state is ChannelState.ABSENT


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
        await call_it(world, "query", answer(200, paid(**changes)))
    assert doubt.value.code == code


# ── Closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "content"),
    [(204, b""), (400, refused("ORDER_CLOSED")), (404, refused("ORDER_NOT_EXIST")), (404, refused("ORDERNOTEXIST"))],
)
async def test_closing_returns_when_nobody_can_pay_it_any_more(world: World, status: int, content: Any) -> None:
    assert await call_it(world, "close", answer(status, content)) is None


@pytest.mark.parametrize("code", ["ORDERPAID", "ORDER_PAID"])
async def test_closing_what_was_paid_is_refused_as_paid(world: World, code: str) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await call_it(world, "close", answer(400, refused(code)))
    assert refusal.value.code == "trade_paid"


@pytest.mark.parametrize("status", [200, 202])
async def test_only_204_is_a_close(world: World, status: int) -> None:
    with pytest.raises(OutcomeUnknown):
        await call_it(world, "close", answer(status, {}))


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
