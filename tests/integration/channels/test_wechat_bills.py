"""WeChat Pay's bills, published by the sandbox and read by our adapter: every fen of a day, or a clear no."""

import io
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from adapters.outbound.wechat import WechatPay
from domain.channels import Access, Method
from domain.errors import BillInvalid, ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from domain.statements import LineKind, LineStatus, Movement, StatementKind
from domain.times import shanghai_day
from tests.integration.channels.conftest import Sandbox, Side
from tests.integration.channels.test_wechat import MODES, _refund, access, wechat

__all__ = ["MODES", "access", "wechat"]


@pytest.fixture
def side(wechat_side: Side) -> Side:
    wechat_side.sandbox.post("reset")
    wechat_side.sandbox.post("settings", wechat_bills="now", wechat_refund_gap=0)
    return wechat_side


@pytest.fixture(autouse=True)
def _bills_by_the_clock(sandbox: Sandbox) -> Any:
    yield
    sandbox.post("settings", wechat_bills="clock")


def _today() -> date:
    return shanghai_day(datetime.now(UTC))


async def _fetched(wechat: WechatPay, access: Access, kind: StatementKind, fund: str = "BASIC") -> io.BytesIO | None:
    file = io.BytesIO()
    if not await wechat.fetch(access, kind, _today(), file, fund=fund):
        return None
    file.seek(0)
    return file


async def _a_day(side: Side, wechat: WechatPay, access: Access) -> dict[str, Any]:
    """A payment with a discount, two refunds of it, a bar code payment that was undone, and an order nobody paid."""
    paid, unpaid = side.opening(), side.opening()
    for opening in (paid, unpaid):
        await wechat.open(access, opening)
    side.pay(paid, received=8000, payer_paid=7500)
    refunds = [_refund(side, paid, amount) for amount in (888, 1000)]
    for request in refunds:
        await wechat.refund(access, request)
    code = side.sandbox.post("codes", channel="wechat")["code"]
    undone = side.opening(method=Method.WECHAT_BARCODE, auth_code=code)
    await wechat.charge(access, undone)
    await wechat.reverse(access, undone.number)
    return {"paid": paid, "refunds": refunds, "undone": undone}


async def test_a_trade_bill_has_every_payment_and_refund_of_the_day(
    side: Side, wechat: WechatPay, access: Access
) -> None:
    day = await _a_day(side, wechat, access)
    file = await _fetched(wechat, access, StatementKind.TRADE)
    assert file is not None
    lines = list(chain.from_iterable(wechat.trade_lines(access, _today(), file)))
    payment, first, second, charged, undone = lines
    assert (payment.kind, payment.number, payment.status) == (
        LineKind.PAYMENT,
        day["paid"].number,
        LineStatus.SUCCEEDED,
    )
    assert (payment.total, payment.received, payment.fee) == (Money(8888), Money(8000), 30)
    for line, request in zip((first, second), day["refunds"], strict=True):
        assert (line.kind, line.number, line.payment_number) == (LineKind.REFUND, request.number, day["paid"].number)
        assert line.total == request.amount
        assert line.fee < 0
    assert first.received + second.received == Money(1888 * 8000 // 8888)
    assert (charged.number, charged.status) == (day["undone"].number, LineStatus.SUCCEEDED)
    assert (undone.kind, undone.number, undone.status) == (LineKind.REFUND, day["undone"].number, LineStatus.REVERSED)
    assert charged.fee + undone.fee == 0
    assert {line.day for line in lines} == {_today()}


async def test_a_fund_bill_ends_with_the_balance_that_its_lines_make(side: Side, wechat: WechatPay) -> None:
    await _a_day(side, wechat, side.access)
    file = await _fetched(wechat, side.access, StatementKind.FUND)
    assert file is not None
    lines = list(wechat.fund_lines(side.access, _today(), file))
    assert [line.movement for line in lines] == [
        *(Movement.PAYMENT, Movement.FEE, Movement.REFUND, Movement.REFUND),
        *(Movement.PAYMENT, Movement.FEE, Movement.REFUND),
    ]
    balance = 0
    for line in lines:
        balance += line.amount
        assert line.balance == balance
    assert len({line.flow_id for line in lines}) == len(lines)
    trade = await _fetched(wechat, side.access, StatementKind.TRADE)
    assert trade is not None
    traded = chain.from_iterable(wechat.trade_lines(side.access, _today(), trade))
    named = {line.transaction_id for line in traded}
    assert named == {line.transaction_id for line in lines}


async def test_accounts_and_days_without_money_have_no_bill(side: Side, wechat: WechatPay) -> None:
    await _a_day(side, wechat, side.access)
    for fund in wechat.funds[1:]:
        assert await _fetched(wechat, side.access, StatementKind.FUND, fund) is None
    assert not await wechat.fetch(side.access, StatementKind.TRADE, _today() - timedelta(days=3), io.BytesIO())


async def test_a_sub_merchants_fund_bill_is_not_the_providers(side: Side, wechat: WechatPay, access: Access) -> None:
    await _a_day(side, wechat, access)
    if access.credential.provider is None:
        return
    with pytest.raises(ChannelRejected) as refusal:
        await _fetched(wechat, access, StatementKind.FUND)
    assert refusal.value.code == "bill_not_permitted"


async def test_a_bill_is_late_or_legitimately_none(side: Side, wechat: WechatPay) -> None:
    await _a_day(side, wechat, side.access)
    side.fault("bill", "bill_late")
    with pytest.raises(ChannelUnavailable) as refusal:
        await _fetched(wechat, side.access, StatementKind.TRADE)
    assert refusal.value.code == "bill_not_ready"
    side.fault("bill", "bill_empty")
    assert await _fetched(wechat, side.access, StatementKind.TRADE) is None
    side.sandbox.post("settings", wechat_bills="clock")
    with pytest.raises(ChannelUnavailable):  # today's is made tomorrow
        await _fetched(wechat, side.access, StatementKind.TRADE)


@pytest.mark.parametrize(
    ("api", "fault", "error"),
    [
        ("bill", "bill_truncated", OutcomeUnknown),
        ("bill", "system_error", OutcomeUnknown),
        ("bill", "unsigned", OutcomeUnknown),
        ("bill_file", "torn", ChannelUnavailable),
        ("bill_file", "error_500", ChannelUnavailable),
    ],
)
async def test_a_bill_that_is_not_whole_is_no_bill(
    side: Side, wechat: WechatPay, api: str, fault: str, error: type[Exception]
) -> None:
    await _a_day(side, wechat, side.access)
    side.fault(api, fault)
    with pytest.raises(error):
        await _fetched(wechat, side.access, StatementKind.TRADE)
    assert await _fetched(wechat, side.access, StatementKind.TRADE) is not None


async def test_another_merchants_bill_is_refused_line_by_line(side: Side, wechat: WechatPay, access: Access) -> None:
    await _a_day(side, wechat, access)
    file = await _fetched(wechat, access, StatementKind.TRADE)
    assert file is not None
    content = file.getvalue().replace(access.account.payee.encode(), b"1900000003")
    with pytest.raises(BillInvalid) as refusal:
        list(wechat.trade_lines(access, _today(), io.BytesIO(content)))
    assert refusal.value.line == 2
