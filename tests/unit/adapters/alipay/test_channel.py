"""What each answer of Alipay, and each lack of one, means to us."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import pytest

from adapters.outbound.alipay import keys
from adapters.outbound.alipay.sdk import Gateway
from domain.channels import ActionType, ChannelState, Mode, PayerAction
from domain.errors import (
    AccountRefused,
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    OutcomeUnknown,
)
from domain.money import Money
from tests.unit.adapters.alipay.world import (
    APP_ID,
    NUMBER,
    SELLER,
    World,
    answer,
    asked,
    good,
    opening,
    paid,
    private_pem,
    refused,
    sign,
)

PRECREATE, QUERY, CLOSE = "alipay.trade.precreate", "alipay.trade.query", "alipay.trade.close"
CALLS = ("open", "query", "close")


@cache
def _gateway() -> Gateway:
    """Loaded once: what these tests are about comes after that."""
    world = World()
    return Gateway(APP_ID, keys.load(world.vault, world.credential(), SELLER))


async def _call(world: World, call: str, said: Any, **options: Any) -> Any:
    """Makes one of the three calls; ``said`` is the node, the raw answer, or what raises."""
    method = {"open": PRECREATE, "query": QUERY, "close": CLOSE}[call]

    def gateway(request: httpx.Request) -> Any:
        if callable(said):
            return said(request)
        return answer(method, said) if isinstance(said, dict) else said

    async with world.adapter(gateway, **options) as alipay:
        alipay._apps._loaded["crd_1", 1, SELLER, Mode.TEST] = _gateway()
        if call == "open":
            return await alipay.open(world.access(), opening())
        return await getattr(alipay, call)(world.access(), NUMBER)


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_opening_says_number_amount_seller_and_the_expiry_in_beijing_time(world: World) -> None:
    heard: list[dict[str, Any]] = []

    def gateway(request: httpx.Request) -> bytes:
        heard.append(asked(request))
        assert request.method == "POST"
        assert not request.url.query
        return answer(PRECREATE, good(qr_code="https://qr.alipay.com/bax1"))

    assert await _call(world, "open", gateway) == PayerAction(ActionType.QR_CODE, "https://qr.alipay.com/bax1")
    (sent,) = heard
    assert sent["notify_url"] == opening().notice_url
    assert sent["biz_content"] == {
        "out_trade_no": NUMBER,
        "total_amount": "88.88",
        "subject": "火龙果 a／b＝c＆d",
        "seller_id": SELLER,
        "time_expire": "2026-11-24 00:30:05",
    }


async def test_the_same_opening_twice_asks_for_the_same(world: World) -> None:
    heard: list[dict[str, Any]] = []

    def gateway(request: httpx.Request) -> bytes:
        heard.append(asked(request)["biz_content"])
        return answer(PRECREATE, good(qr_code="https://qr.alipay.com/bax1"))

    async with world.adapter(gateway) as alipay:
        for _ in range(2):
            await alipay.open(world.access(), opening())
    assert heard[0] == heard[1]


@pytest.mark.parametrize("node", [good(), good(qr_code=""), good(qr_code=7)])
async def test_a_success_without_a_code_is_no_success(world: World, node: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        await _call(world, "open", node)


@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_HAS_SUCCESS", "ACQ.TRADE_HAS_FINISHED"])
async def test_opening_what_was_paid_is_refused_as_paid(world: World, sub_code: str) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _call(world, "open", refused(sub_code))
    assert refusal.value.code == "trade_paid"


# ── Refusals, alike for all three ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("node", "error"),
    [
        (refused("ACQ.CONTEXT_INCONSISTENT"), ChannelRejected),
        (refused("ACQ.INVALID_PARAMETER"), ChannelRejected),
        (refused("isv.insufficient-isv-permissions", "40006"), AccountRefused),
        (refused("", "40004"), ChannelRejected),
        (refused("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (refused("ACQ.ACCESS_FORBIDDEN"), AccountRefused),
        (refused("ACQ.SELLER_BEEN_BLOCKED"), AccountRefused),
        (refused("aop.invalid-app-auth-token", "20001"), AccountRefused),
        (refused("AQC.SYSTEM_ERROR"), OutcomeUnknown),
        (refused("aop.ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (refused("isp.unknow-error", "20000"), OutcomeUnknown),
        (refused("isv.app-call-limited", "40005"), ChannelUnavailable),
        (refused("something.new", "50000"), OutcomeUnknown),
        ({"msg": "no code at all"}, OutcomeUnknown),
        ({"code": 10000, "out_trade_no": ["x"]}, OutcomeUnknown),
    ],
)
async def test_a_signed_refusal_is_final_only_where_it_says_no(
    world: World, call: str, node: dict[str, Any], error: type[ChannelError]
) -> None:
    with pytest.raises(error) as raised:
        await _call(world, call, node)
    assert type(raised.value) is error
    if issubclass(error, ChannelRejected) and node["sub_code"]:
        assert raised.value.code == node["sub_code"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("node", "error"),
    [
        (good(qr_code="https://qr.alipay.com/forged", trade_status="TRADE_SUCCESS"), OutcomeUnknown),
        (paid(), OutcomeUnknown),
        (refused("ACQ.TRADE_NOT_EXIST"), OutcomeUnknown),
        (refused("ACQ.TRADE_HAS_SUCCESS"), OutcomeUnknown),
        (refused("isp.unknow-error", "20000"), OutcomeUnknown),
        (refused("isv.invalid-signature", "40002"), ChannelUnavailable),
        (refused("isv.missing-app-id", "40001"), ChannelUnavailable),
        (refused("aop.invalid-auth-token", "20001"), ChannelUnavailable),
    ],
)
async def test_an_unsigned_answer_is_never_definite(
    world: World, call: str, node: dict[str, Any], error: type[ChannelError]
) -> None:
    method = {"open": PRECREATE, "query": QUERY, "close": CLOSE}[call]
    with pytest.raises(error) as raised:
        await _call(world, call, answer(method, node, signed=False))
    assert type(raised.value) is error


async def test_an_error_response_node_is_understood(world: World) -> None:
    node = json.dumps({"error_response": refused("isv.invalid-app-id", "40002"), "sign": ""})
    with pytest.raises(ChannelUnavailable, match=r"isv\.invalid-app-id"):
        await _call(world, "open", node.encode())


# ── Transport ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_what_was_never_sent_may_be_repeated(world: World, call: str, error: type[httpx.RequestError]) -> None:
    def fails(request: httpx.Request) -> None:
        raise error("down", request=request)

    with pytest.raises(ChannelUnavailable):
        await _call(world, call, fails)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
)
async def test_what_may_have_been_sent_leaves_the_outcome_unknown(
    world: World, call: str, error: type[httpx.RequestError]
) -> None:
    def fails(request: httpx.Request) -> None:
        raise error("torn", request=request)

    with pytest.raises(OutcomeUnknown):
        await _call(world, call, fails)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "error"),
    [(302, OutcomeUnknown), (403, OutcomeUnknown), (429, ChannelUnavailable), (502, OutcomeUnknown)],
)
async def test_a_front_servers_status_is_no_answer_of_alipays(
    world: World, call: str, status: int, error: type[ChannelError]
) -> None:
    page = httpx.Response(status, content=answer(QUERY, paid()), headers={"Location": "https://elsewhere.invalid"})
    with pytest.raises(error):
        await _call(world, call, page)


async def test_an_answer_without_end_is_given_up(world: World) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", httpx.Response(200, content=b" " * ((1 << 20) + 1)))
    assert doubt.value.code == "answer_too_large"


async def test_a_small_answer_cannot_unfold_into_a_large_one(world: World) -> None:
    heard: list[str] = []

    def bomb(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["accept-encoding"])
        body = gzip.compress(answer(QUERY, paid()))
        return httpx.Response(200, content=body, headers={"Content-Encoding": "gzip"})

    with pytest.raises(OutcomeUnknown):
        await _call(world, "query", bomb)
    assert heard == ["identity"]


@pytest.mark.parametrize("call", CALLS)
async def test_the_deadline_is_for_the_whole_call(world: World, call: str) -> None:
    async def drip() -> Any:
        while True:
            yield b" "  # each read is quick; only the whole never ends
            await asyncio.sleep(0.01)

    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, call, lambda _: httpx.Response(200, content=drip()), deadline_seconds=0.2)
    assert doubt.value.code == "deadline"


async def test_a_caller_that_gives_up_is_not_told_of_a_deadline(world: World) -> None:
    async def drip() -> Any:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await _call(world, "query", lambda _: httpx.Response(200, content=drip()))


# ── Queries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_paid_trade_has_a_receipt_with_all_three_amounts(world: World) -> None:
    report = await _call(world, "query", paid())
    assert (report.number, report.state) == (NUMBER, ChannelState.PAID)
    receipt = report.receipt
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert receipt.paid_at == datetime(2026, 11, 23, 16, 10, 5, tzinfo=UTC)
    assert receipt.transaction_id == "2026112322001400000000000001"
    assert (receipt.app_id, receipt.payee, receipt.number) == (APP_ID, SELLER, NUMBER)


async def test_without_discounts_the_optional_amounts_are_the_total(world: World) -> None:
    report = await _call(world, "query", paid(receipt_amount=None, buyer_pay_amount=None))
    assert report.receipt.received == report.receipt.payer_paid == Money(8888)


@pytest.mark.parametrize(
    ("node", "state"),
    [
        (good(trade_status="WAIT_BUYER_PAY", total_amount="88.88"), ChannelState.PENDING),
        (good(trade_status="TRADE_CLOSED"), ChannelState.CLOSED),
        (paid(trade_status="TRADE_FINISHED"), ChannelState.PAID),
        (paid(trade_status="TRADE_CLOSED"), ChannelState.PAID),  # refunded in full since: the payment was a fact
        (refused("ACQ.TRADE_NOT_EXIST"), ChannelState.ABSENT),
    ],
)
async def test_each_trade_status_is_one_state(world: World, node: dict[str, Any], state: ChannelState) -> None:
    assert (await _call(world, "query", node)).state is state


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"out_trade_no": "PTY01K0000000000000000000000AC"}, "answer_mismatch"),
        ({"out_trade_no": None}, "answer_invalid"),
        ({"trade_status": "TRADE_NEW"}, "answer_invalid"),
        ({"trade_status": None}, "answer_invalid"),
        ({"trade_no": None}, "answer_invalid"),
        ({"total_amount": None}, "answer_invalid"),
        ({"total_amount": 88.88}, "answer_invalid"),
        ({"total_amount": "88.888"}, "amount_invalid"),
        ({"total_amount": "-88.88"}, "amount_invalid"),
        ({"total_amount": "8.8e1"}, "amount_invalid"),
        ({"receipt_amount": "８０.００"}, "amount_invalid"),
        ({"buyer_pay_amount": " 75.50"}, "amount_invalid"),
        ({"send_pay_date": None}, "answer_invalid"),
        ({"send_pay_date": "2026-11-31 00:00:00"}, "answer_invalid"),
        ({"send_pay_date": "yesterday"}, "answer_invalid"),
        ({"trans_currency": "USD"}, "currency"),
        ({"pay_currency": "HKD"}, "currency"),
        ({"settle_currency": "usd"}, "currency"),
    ],
)
async def test_a_signed_answer_that_does_not_fit_leaves_the_outcome_unknown(
    world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "query", paid(**changes))
    assert doubt.value.code == code


# ── Closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "node",
    [
        good(trade_no="2026112322001400000000000001"),
        {"code": "10000", "msg": "Success"},
        refused("ACQ.TRADE_NOT_EXIST"),
    ],
)
async def test_closing_returns_when_nobody_can_pay_it_any_more(world: World, node: dict[str, Any]) -> None:
    assert await _call(world, "close", node) is None


async def test_a_close_answered_for_another_number_is_no_close(world: World) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, "close", good() | {"out_trade_no": "PTY01K0000000000000000000000AC"})
    assert doubt.value.code == "answer_mismatch"


@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID"])
@pytest.mark.parametrize(
    ("then", "outcome"),
    [
        (paid(), "trade_paid"),
        (good(trade_status="TRADE_CLOSED"), None),
        (refused("ACQ.TRADE_NOT_EXIST"), None),
        (good(trade_status="WAIT_BUYER_PAY"), "outcome_unknown"),
        (refused("ACQ.SYSTEM_ERROR"), "outcome_unknown"),
    ],
)
async def test_a_trade_that_no_longer_waits_is_asked_whether_it_was_paid(
    world: World, sub_code: str, then: dict[str, Any], outcome: str | None
) -> None:
    def gateway(request: httpx.Request) -> bytes:
        method = asked(request)["method"]
        return answer(method, refused(sub_code) if method == CLOSE else then)

    if outcome is None:
        assert await _call(world, "close", gateway) is None
        return
    with pytest.raises((ChannelRejected, OutcomeUnknown)) as raised:
        await _call(world, "close", gateway)
    assert raised.value.code == outcome


# ── Set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", CALLS)
async def test_a_mode_without_a_gateway_is_refused_before_anything_is_sent(world: World, call: str) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    async with world.adapter(never) as alipay:
        access = world.access(mode=Mode.LIVE)
        with pytest.raises(ChannelUnavailable) as refusal:
            await (alipay.open(access, opening()) if call == "open" else getattr(alipay, call)(access, NUMBER))
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
    async with world.adapter(lambda _: answer(QUERY, good(trade_status="WAIT_BUYER_PAY"))) as alipay:
        access = world.access()
        await asyncio.gather(*(alipay.query(access, NUMBER) for _ in range(8)))
        assert len(opened) == 1
        await alipay.query(replace(access, credential=replace(access.credential, version=2)), NUMBER)
        assert len(opened) == 2


async def test_a_rotated_key_is_used_at_once(world: World) -> None:
    heard: list[dict[str, Any]] = []

    def gateway(request: httpx.Request) -> bytes:
        heard.append(asked(request))
        return answer(QUERY, good(trade_status="WAIT_BUYER_PAY"))

    async with world.adapter(gateway) as alipay:
        await alipay.query(world.access(), NUMBER)
        rotated = world.credential(sealed={"app_private_key": private_pem("thief")}, version=2)
        await alipay.query(world.access(rotated), NUMBER)
    for sent, name in zip(heard, ("app", "thief"), strict=True):
        signature, sent["biz_content"] = sent.pop("sign"), json.dumps(sent["biz_content"], separators=(",", ":"))
        assert signature == sign("&".join(f"{field}={value}" for field, value in sorted(sent.items())), name)
