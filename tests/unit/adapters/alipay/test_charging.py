"""Bar codes: paid at once, waiting for the payer, unknown, or never; and undoing them."""

from typing import Any

import httpx
import pytest

from domain.channels import ChannelState, Method
from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from tests.unit.adapters.alipay.world import APP_ID, NUMBER, SELLER, World, call, good, opening, paid, refused

PAY, QUERY, CANCEL = "alipay.trade.pay", "alipay.trade.query", "alipay.trade.cancel"
TRADE = "2026112322001400000000000001"


def charged(**changes: Any) -> dict[str, Any]:
    answer = paid(trade_status=None, send_pay_date=None, gmt_payment="2026-11-24 00:10:05")
    return {name: value for name, value in (answer | changes).items() if value is not None}


def waiting(**changes: Any) -> dict[str, Any]:
    return (
        good(trade_no=TRADE, total_amount="88.88") | {"code": "10003", "msg": "order success pay inprocess"} | changes
    )


async def _charge(world: World, said: Any, **options: Any) -> Any:
    asked = opening(method=Method.ALIPAY_BARCODE, auth_code="280123456789012345")
    return await call(world, said, lambda alipay, who: alipay.charge(who, asked), **options)


async def test_a_code_is_charged_by_one_call(world: World) -> None:
    report, (sent,) = await _charge(world, charged())
    assert report.state is ChannelState.PAID
    receipt = report.receipt
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert (receipt.transaction_id, receipt.app_id, receipt.payee) == (TRADE, APP_ID, SELLER)
    assert sent["method"] == PAY
    assert sent["notify_url"] == opening().notice_url
    assert sent["biz_content"] == {
        "out_trade_no": NUMBER,
        "total_amount": "88.88",
        "subject": "火龙果 a／b＝c＆d",
        "time_expire": "2026-11-24 00:30:05",
        "product_code": "FACE_TO_FACE_PAYMENT",
        "seller_id": SELLER,
        "scene": "bar_code",
        "auth_code": "280123456789012345",
    }


async def test_a_payer_who_must_confirm_is_waited_for(world: World) -> None:
    report, _ = await _charge(world, waiting())
    assert (report.number, report.state, report.receipt) == (NUMBER, ChannelState.PENDING, None)


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (refused("ACQ.PAYMENT_AUTH_CODE_INVALID"), ChannelRejected),
        (refused("ACQ.BUYER_BALANCE_NOT_ENOUGH"), ChannelRejected),
        (refused("ACQ.TRADE_HAS_CLOSE"), ChannelRejected),
        (refused("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (refused("isp.unknow-error", "20000"), OutcomeUnknown),
        (refused("isv.app-call-limited", "40005"), ChannelUnavailable),
        (refused("", "10004"), OutcomeUnknown),
        (charged(trade_no=None), OutcomeUnknown),
        (charged(total_amount="88.888"), OutcomeUnknown),
        (charged(gmt_payment=None), OutcomeUnknown),
        (charged(out_trade_no="PTY01K0000000000000000000000AC"), OutcomeUnknown),
        (waiting(out_trade_no="PTY01K0000000000000000000000AC"), OutcomeUnknown),
    ],
)
async def test_each_other_answer_is_a_no_or_not_known(
    world: World, node: dict[str, Any], error: type[ChannelError]
) -> None:
    with pytest.raises(error) as raised:
        await _charge(world, node)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "sub_code",
    ["ACQ.TRADE_HAS_SUCCESS", "ACQ.CONTEXT_INCONSISTENT", "ACQ.TRADE_BUYER_NOT_MATCH", "ACQ.TRADE_STATUS_ERROR"],
)
@pytest.mark.parametrize(
    ("then", "state"),
    [
        (paid(), ChannelState.PAID),
        (good(trade_status="WAIT_BUYER_PAY"), ChannelState.PENDING),
        (good(trade_status="TRADE_CLOSED"), ChannelState.CLOSED),
    ],
)
async def test_a_number_that_is_taken_is_asked_about_and_never_called_failed(
    world: World, sub_code: str, then: dict[str, Any], state: ChannelState
) -> None:
    report, _ = await _charge(world, {PAY: refused(sub_code), QUERY: then})
    assert report.state is state


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_charge_whose_answer_is_lost_is_not_known(world: World, error: type[httpx.RequestError]) -> None:
    def fails(request: httpx.Request) -> None:
        raise error("gone", request=request)

    with pytest.raises(OutcomeUnknown):
        await _charge(world, fails)


async def _reverse(world: World, said: Any) -> Any:
    return await call(world, said, lambda alipay, who: alipay.reverse(who, NUMBER))


@pytest.mark.parametrize(
    "node",
    [
        good(retry_flag="N", action="close", trade_no=TRADE),
        good(retry_flag="N", action="refund", trade_no=TRADE),
        good(retry_flag="N"),  # nobody has paid and there is no trade: nothing to do
        refused("ACQ.TRADE_NOT_EXIST"),
    ],
)
async def test_what_is_undone_or_never_was_is_reversed(world: World, node: dict[str, Any]) -> None:
    _, (sent,) = await _reverse(world, node)
    assert (sent["method"], sent["biz_content"]) == (CANCEL, {"out_trade_no": NUMBER})


@pytest.mark.parametrize(
    ("node", "error", "code"),
    [
        (good(retry_flag="Y"), OutcomeUnknown, "cancel_again"),
        (refused("ACQ.SELLER_BALANCE_NOT_ENOUGH") | {"retry_flag": "Y"}, OutcomeUnknown, "cancel_again"),
        (refused("ACQ.SYSTEM_ERROR") | {"retry_flag": "Y"}, OutcomeUnknown, "cancel_again"),
        (refused("ACQ.SYSTEM_ERROR"), OutcomeUnknown, "outcome_unknown"),
        (good(), OutcomeUnknown, "answer_invalid"),
        (good(retry_flag="?"), OutcomeUnknown, "answer_invalid"),
        (good(retry_flag="N") | {"out_trade_no": "PTY01K0000000000000000000000AC"}, OutcomeUnknown, "answer_mismatch"),
        (refused("ACQ.SELLER_BALANCE_NOT_ENOUGH") | {"retry_flag": "N"}, ChannelRejected, "channel_funds_short"),
        (refused("ACQ.CANCEL_NOT_ALLOWED"), ChannelRejected, "ACQ.CANCEL_NOT_ALLOWED"),
        (refused("ACQ.TRADE_HAS_FINISHED"), ChannelRejected, "ACQ.TRADE_HAS_FINISHED"),
    ],
)
async def test_a_reversal_that_is_not_done_says_whether_to_try_again(
    world: World, node: dict[str, Any], error: type[ChannelError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await _reverse(world, node)
    assert (type(raised.value), raised.value.code) == (error, code)
