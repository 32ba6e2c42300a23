"""Refunds: each answer of Alipay, each lack of one, and the notices that tell of them."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.channels import RefundReport, RefundRequest, RefundState
from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, NoticeRejected, OutcomeUnknown
from domain.money import Money
from domain.numbers import channel_number
from tests.unit.adapters.alipay.world import NUMBER, World, call, form, good, notice_fields, refused, signed_notice

REFUND, QUERY = "alipay.trade.refund", "alipay.trade.fastpay.refund.query"
REFUND_NO = channel_number("01K0000000000000000000000R")
OTHER_NO = channel_number("01K0000000000000000000000S")
AT = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)


def request(**changes: Any) -> RefundRequest:
    asked: dict[str, Any] = {
        "number": REFUND_NO,
        "payment_number": NUMBER,
        "amount": Money(3000),
        "total": Money(8888),
        "reason": "坏了",
        "notice_url": "https://pay.example/notices/alipay/acc_1",
    }
    return RefundRequest(**(asked | changes))


def done(**changes: Any) -> dict[str, Any]:
    fields = {"trade_no": "t", "fund_change": "Y", "refund_fee": "50.00", "gmt_refund_pay": "2026-11-24 10:03:04"}
    return {name: value for name, value in (good(**fields) | changes).items() if value is not None}


def found(**changes: Any) -> dict[str, Any]:
    fields = {"out_request_no": REFUND_NO, "refund_amount": "30.00", "total_amount": "88.88"}
    fields |= {"refund_status": "REFUND_SUCCESS", "gmt_refund_pay": "2026-11-24 10:03:04"}
    return {name: value for name, value in (good(**fields) | changes).items() if value is not None}


async def _refund(world: World, said: Any, **changes: Any) -> Any:
    return await call(world, said, lambda alipay, who: alipay.refund(who, request(**changes)))


async def _query(world: World, said: Any) -> Any:
    return await call(world, said, lambda alipay, who: alipay.query_refund(who, request()))


async def test_a_refund_carries_its_own_number_and_is_done_when_it_is_answered(world: World) -> None:
    report, (sent,) = await _refund(world, done())
    assert sent["method"] == REFUND
    wanted = {"out_trade_no": NUMBER, "out_request_no": REFUND_NO, "refund_amount": "30.00", "refund_reason": "坏了"}
    assert sent["biz_content"] == wanted
    # refund_fee counts every refund of the trade, and never passes for this one's amount.
    assert report == RefundReport(
        number=REFUND_NO,
        payment_number=NUMBER,
        state=RefundState.SUCCEEDED,
        amount=Money(3000),
        payment_refunded=Money(5000),
        channel_id=REFUND_NO,
        at=AT,
    )


async def test_a_full_refund_has_its_number_too(world: World) -> None:
    _, (sent,) = await _refund(world, done(), amount=Money(8888))
    assert sent["biz_content"]["out_request_no"] == REFUND_NO


async def test_a_repeated_refund_that_moves_nothing_is_the_first_one(world: World) -> None:
    report, heard = await _refund(world, {REFUND: done(fund_change="N"), QUERY: found()})
    assert (report.state, report.amount, report.at) == (RefundState.SUCCEEDED, Money(3000), AT)
    assert [sent["method"] for sent in heard] == [REFUND, QUERY]


@pytest.mark.parametrize(
    "then", [found(refund_status=None), refused("ACQ.TRADE_NOT_EXIST"), refused("ACQ.SYSTEM_ERROR")]
)
async def test_a_refund_that_moves_nothing_and_is_not_found_is_not_known(world: World, then: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        await _refund(world, {REFUND: done(fund_change="N"), QUERY: then})


@pytest.mark.parametrize(
    ("node", "error", "code"),
    [
        (refused("ACQ.SELLER_BALANCE_NOT_ENOUGH"), ChannelRejected, "channel_funds_short"),
        (refused("ACQ.TRADE_NOT_EXIST"), ChannelRejected, "ACQ.TRADE_NOT_EXIST"),
        (refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"), ChannelRejected, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"),
        (refused("ACQ.REASON_TRADE_REFUND_FEE_ERR"), ChannelRejected, "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        (refused("ACQ.TRADE_HAS_FINISHED"), ChannelRejected, "ACQ.TRADE_HAS_FINISHED"),
        (refused("ACQ.TRADE_NOT_ALLOW_REFUND"), ChannelRejected, "ACQ.TRADE_NOT_ALLOW_REFUND"),
        (refused("ACQ.DISCORDANT_REPEAT_REQUEST"), ChannelRejected, "ACQ.DISCORDANT_REPEAT_REQUEST"),
        (refused("ACQ.REFUND_CHARGE_ERROR"), ChannelUnavailable, "channel_unavailable"),
        (refused("isv.app-call-limited", "40005"), ChannelUnavailable, "channel_unavailable"),
        (refused("ACQ.SYSTEM_ERROR"), OutcomeUnknown, "outcome_unknown"),
        (refused("aop.ACQ.SYSTEM_ERROR"), OutcomeUnknown, "outcome_unknown"),
        (refused("isp.unknow-error", "20000"), OutcomeUnknown, "outcome_unknown"),
        (done(fund_change=None), OutcomeUnknown, "answer_invalid"),
        (done(out_trade_no=OTHER_NO), OutcomeUnknown, "answer_mismatch"),
        (done(refund_fee="5e1"), OutcomeUnknown, "amount_invalid"),
        (done(gmt_refund_pay="soon"), OutcomeUnknown, "answer_invalid"),
    ],
)
async def test_only_a_definite_answer_ends_a_refund(
    world: World, node: dict[str, Any], error: type[ChannelError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await _refund(world, node)
    assert (type(raised.value), raised.value.code) == (error, code)


@pytest.mark.parametrize("ask", [_refund, _query])
@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_refund_whose_answer_does_not_come_has_not_failed(
    world: World, ask: Any, error: type[httpx.RequestError]
) -> None:
    def fails(sent: httpx.Request) -> None:
        raise error("gone", request=sent)

    with pytest.raises(OutcomeUnknown):
        await ask(world, fails)


async def test_a_refund_is_found_under_its_number(world: World) -> None:
    report, (sent,) = await _query(world, found())
    assert (report.number, report.state, report.amount, report.at) == (
        REFUND_NO,
        RefundState.SUCCEEDED,
        Money(3000),
        AT,
    )
    assert sent["biz_content"] == {
        "out_trade_no": NUMBER,
        "out_request_no": REFUND_NO,
        "query_options": ["gmt_refund_pay"],
    }


@pytest.mark.parametrize(
    "node", [good(), found(refund_status=None), found(refund_status=""), refused("ACQ.TRADE_NOT_EXIST")]
)
async def test_a_refund_that_alipay_does_not_know_may_be_made_again(world: World, node: dict[str, Any]) -> None:
    report, _ = await _query(world, node)
    assert (report.number, report.payment_number, report.state) == (REFUND_NO, NUMBER, RefundState.ABSENT)


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (found(out_request_no=OTHER_NO), "answer_mismatch"),
        (found(out_trade_no=OTHER_NO), "answer_mismatch"),
        (found(refund_status="REFUND_PROCESSING"), "answer_invalid"),
        (found(refund_amount="-30.00"), "amount_invalid"),
        (found(refund_amount=None), "answer_invalid"),
        (refused("ACQ.SYSTEM_ERROR"), "outcome_unknown"),
    ],
)
async def test_an_answer_about_something_else_says_nothing_of_a_refund(
    world: World, node: dict[str, Any], code: str
) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _query(world, node)
    assert doubt.value.code == code


# ── Notices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _noticed(world: World, **changes: str | None) -> Any:
    fields = notice_fields(
        receipt_amount=None,
        buyer_pay_amount=None,
        refund_fee="50.00",
        gmt_refund="2026-11-24 10:03:04.143",
        out_biz_no=REFUND_NO,
    )
    fields |= {name: value for name, value in changes.items() if value is not None}
    body = form(signed_notice(fields))
    async with world.adapter(lambda _: b"") as alipay:
        return await alipay.read(world.access(), {}, body, now=AT)


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_CLOSED", "TRADE_FINISHED"])
async def test_a_refund_notice_tells_which_refund_and_how_much_went_back_in_all(world: World, status: str) -> None:
    notice = await _noticed(world, trade_status=status)
    assert (notice.kind, notice.report) == ("refund", None)  # neither a payment again nor a close
    assert notice.refund == RefundReport(
        number=REFUND_NO,
        payment_number=NUMBER,
        state=RefundState.SUCCEEDED,
        amount=None,
        payment_refunded=Money(5000),
        channel_id=REFUND_NO,
        at=AT.replace(microsecond=143_000),
        detail=status,
    )


@pytest.mark.parametrize("number", ["2026112322001400000000000001", "HZ01RF001", REFUND_NO[:-1] + "0", NUMBER])
async def test_a_refund_made_in_the_console_has_no_number_of_ours(world: World, number: str) -> None:
    refund = (await _noticed(world, out_biz_no=number)).refund
    assert (refund.number, refund.channel_id, refund.payment_number) == (None, number, NUMBER)
    assert (await _noticed(world, out_biz_no="")).refund.channel_id is None


@pytest.mark.parametrize("changes", [{"app_id": "2021000000000002"}, {"seller_id": "2088000000000002"}])
async def test_somebody_elses_refund_is_none_of_ours(world: World, changes: dict[str, str]) -> None:
    notice = await _noticed(world, **changes)
    assert (notice.report, notice.refund) == (None, None)


@pytest.mark.parametrize("changes", [{"refund_fee": "-1.00"}, {"gmt_refund": "2026-13-01 00:00:00"}])
async def test_a_refund_notice_that_does_not_fit_is_not_believed(world: World, changes: dict[str, str]) -> None:
    with pytest.raises(NoticeRejected):
        await _noticed(world, **changes)
