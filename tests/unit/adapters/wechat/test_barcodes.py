"""A bar code payment and its undoing: which answers are definite, and which leave it open."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from domain.channels import ChannelReport, ChannelState, Method
from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown
from domain.money import Money
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCHID,
    NUMBER,
    PROVIDER,
    SUB_MCHID,
    World,
    answer,
    opening,
    paid,
    refused,
    unsigned,
)

CODE = "130061098828009406"
Answers = Callable[[httpx.Request], httpx.Response]
Said = Callable[[], httpx.Response]  # made when a test runs: an answer is signed for its moment


async def _charge(world: World, *said: httpx.Response, access: Any = None, **changes: Any) -> ChannelReport:
    """``said`` are the answers in their order."""
    left = list(said)
    async with world.adapter(lambda _: left.pop(0)) as wechat:
        asked = opening(**({"method": Method.WECHAT_BARCODE, "auth_code": CODE} | changes))
        report = await wechat.charge(access or world.access(), asked)
    assert not left
    return report


async def _reverse(world: World, said: httpx.Response | Answers) -> None:
    async with world.adapter(said if callable(said) else lambda _: said) as wechat:
        await wechat.reverse(world.access(), NUMBER)


def _unpaid(state: str) -> httpx.Response:
    return answer(200, paid(trade_state=state, transaction_id=None, success_time=None, amount=None))


async def test_a_charge_sends_the_code_and_a_store_and_neither_expiry_nor_notice_address(world: World) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, paid(trade_type="MICROPAY"))

    async with world.adapter(gateway) as wechat:
        report = await wechat.charge(world.access(), opening(method=Method.WECHAT_BARCODE, auth_code=CODE))
    assert heard[0].url.path == "/v3/pay/transactions/codepay"
    assert json.loads(heard[0].content) == {
        "appid": APP_ID,
        "mchid": MCHID,
        "description": "火龙果",
        "out_trade_no": NUMBER,
        "amount": {"total": 8888, "currency": "CNY"},
        "payer": {"auth_code": CODE},
        "scene_info": {"store_info": {"out_id": "acc_1"}},
    }
    assert report.state is ChannelState.PAID
    assert report.receipt is not None
    assert report.receipt.received == Money(8000)


async def test_a_code_is_needed_and_only_a_bar_code_is_charged(world: World) -> None:
    for changes in ({"auth_code": None}, {"method": Method.WECHAT_NATIVE}):
        with pytest.raises(InvalidRequest):
            await _charge(world, **changes)


@pytest.mark.parametrize("status", [200, 202, 400, 403])
async def test_a_payer_who_enters_a_password_is_pending_whatever_the_status(world: World, status: int) -> None:
    report = await _charge(world, answer(status, refused("USERPAYING")))
    assert report == ChannelReport(NUMBER, ChannelState.PENDING, detail="USERPAYING")


async def test_a_transaction_that_waits_is_pending(world: World) -> None:
    assert (await _charge(world, _unpaid("USERPAYING"))).state is ChannelState.PENDING


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "NOT_ENOUGH"),
        (403, "NOTENOUGH"),
        (403, "TRADE_ERROR"),
        (403, "RULE_LIMIT"),
        (403, "NO_AUTH"),
        (400, "AUTH_CODE_EXPIRE"),
        (400, "ORDER_REVERSED"),
        (400, "ORDER_CLOSED"),
        (400, "PARAM_ERROR"),
        (400, "INVALID_REQUEST"),
        (400, "APPID_MCHID_NOT_MATCH"),
    ],
)
async def test_a_refusal_that_the_documents_call_definite_is_final(world: World, status: int, code: str) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _charge(world, answer(status, refused(code)))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "said",
    [
        partial(answer, 500, refused("SYSTEM_ERROR")),
        partial(answer, 500, refused("BANK_ERROR")),
        partial(answer, 400, refused("SYSTEM_ERROR")),
        partial(answer, 403, refused("BANKERROR")),
        partial(answer, 503, refused("USERPAYING")),
        partial(answer, 202, {}),
        partial(unsigned, 403, refused("NOT_ENOUGH")),
        partial(unsigned, 200, paid()),
        partial(answer, 200, paid(out_trade_no="PTY01K0000000000000000000000AC")),
        partial(answer, 200, paid(mchid="1900000002")),
        partial(answer, 200, paid(trade_state=None)),
    ],
)
async def test_what_may_still_go_either_way_is_never_a_refusal(world: World, said: Said) -> None:
    with pytest.raises(OutcomeUnknown):
        await _charge(world, said())


async def test_a_channel_that_wants_fewer_calls_did_not_listen(world: World) -> None:
    with pytest.raises(ChannelUnavailable):
        await _charge(world, answer(429, refused("FREQUENCY_LIMITED")))


@pytest.mark.parametrize("code", ["AUTH_CODE_INVALID", "AUTH_CODE_ERROR", "OUT_TRADE_NO_USED", "ORDERPAID"])
async def test_a_used_code_may_have_been_used_by_this_very_payment(world: World, code: str) -> None:
    said = answer(400, refused(code))
    assert (await _charge(world, said, answer(200, paid()))).state is ChannelState.PAID
    assert (await _charge(world, said, _unpaid("USERPAYING"))).state is ChannelState.PENDING


@pytest.mark.parametrize("code", ["AUTH_CODE_INVALID", "OUT_TRADE_NO_USED"])
@pytest.mark.parametrize(
    "known",
    [
        partial(answer, 404, refused("ORDER_NOT_EXIST")),
        partial(_unpaid, "NOTPAY"),
        partial(_unpaid, "CLOSED"),
        partial(_unpaid, "PAYERROR"),
    ],
)
async def test_a_used_code_that_paid_nothing_of_ours_is_final(world: World, code: str, known: Said) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _charge(world, answer(400, refused(code)), known())
    assert refusal.value.code == code


@pytest.mark.parametrize("code", ["AUTH_CODE_INVALID", "ORDERPAID"])
async def test_a_used_code_that_cannot_be_looked_up_leaves_the_outcome_unknown(world: World, code: str) -> None:
    with pytest.raises(OutcomeUnknown):
        await _charge(world, answer(400, refused(code)), answer(500, refused("SYSTEM_ERROR")))


async def test_a_paid_order_that_a_query_calls_unpaid_is_a_doubt_and_not_a_refusal(world: World) -> None:
    with pytest.raises(OutcomeUnknown):
        await _charge(world, answer(400, refused("ORDERPAID")), _unpaid("NOTPAY"))


async def test_a_lost_answer_leaves_the_outcome_unknown(world: World) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer", request=request)

    async with world.adapter(silent) as wechat:
        with pytest.raises(OutcomeUnknown):
            await wechat.charge(world.access(), opening(method=Method.WECHAT_BARCODE, auth_code=CODE))
        with pytest.raises(OutcomeUnknown):
            await wechat.reverse(world.access(), NUMBER)


# ── Reversing ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_reverse_names_the_order_and_its_parties(world: World) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, {"appid": APP_ID, "mchid": MCHID, "out_trade_no": NUMBER})

    await _reverse(world, gateway)
    async with world.adapter(gateway) as wechat:
        await wechat.reverse(world.sub_merchant(), NUMBER)
    direct, partner = heard
    assert (direct.method, direct.url.path) == ("POST", f"/v3/pay/transactions/out-trade-no/{NUMBER}/reverse")
    assert json.loads(direct.content) == {"appid": APP_ID, "mchid": MCHID}
    assert partner.url.path == f"/v3/pay/partner/transactions/out-trade-no/{NUMBER}/reverse"
    assert json.loads(partner.content) == {"sp_appid": APP_ID, "sp_mchid": PROVIDER, "sub_mchid": SUB_MCHID}


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "ORDER_NOT_EXIST"), (404, "ORDERNOTEXIST"), (400, "ORDER_CLOSED"), (400, "ORDER_REVERSED")],
)
async def test_what_nobody_can_pay_any_more_is_undone(world: World, status: int, code: str) -> None:
    await _reverse(world, answer(status, refused(code)))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (partial(answer, 500, refused("SYSTEM_ERROR")), OutcomeUnknown),
        (partial(answer, 202, refused("USERPAYING")), OutcomeUnknown),
        (partial(answer, 400, refused("USERPAYING")), OutcomeUnknown),
        (partial(answer, 200, {"out_trade_no": "PTY01K0000000000000000000000AC"}), OutcomeUnknown),
        (partial(answer, 200, {}), OutcomeUnknown),
        (partial(answer, 204, b""), OutcomeUnknown),
        (partial(unsigned, 404, refused("ORDER_NOT_EXIST")), OutcomeUnknown),
        (partial(unsigned, 200, {"out_trade_no": NUMBER}), OutcomeUnknown),
        (partial(answer, 429, refused("FREQUENCY_LIMITED")), ChannelUnavailable),
        (partial(answer, 400, refused("REVERSE_EXPIRE")), ChannelRejected),
    ],
)
async def test_only_a_plain_yes_undoes_a_payment(world: World, said: Said, error: type[ChannelError]) -> None:
    with pytest.raises(error) as raised:
        await _reverse(world, said())
    assert type(raised.value) is error
