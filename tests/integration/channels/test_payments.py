"""A payment from the code to the money, at both channels, on a good day."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.channels import Channel, ChannelState
from domain.errors import ChannelRejected
from domain.money import Money
from tests.integration.channels.conftest import Side

ONE = timedelta(seconds=1)


async def test_a_payment_is_opened_scanned_paid_and_told(side: Side) -> None:
    opening = side.opening()
    action = await side.adapter.open(side.access, opening)
    assert (action.type, action.value) == ("qr_code", side.trade(opening)["code"])
    unscanned = (await side.adapter.query(side.access, opening.number)).state
    # Alipay makes a trade of a code only when somebody scans it.
    assert unscanned is {Channel.ALIPAY: ChannelState.ABSENT, Channel.WECHAT: ChannelState.PENDING}[side.channel]
    side.scan(opening)
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.PENDING
    before = datetime.now(UTC).replace(microsecond=0)
    side.pay(opening, received=8000, payer_paid=7550)
    report = await side.adapter.query(side.access, opening.number)
    assert report.state is ChannelState.PAID
    receipt = report.receipt
    assert receipt is not None
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert before <= receipt.paid_at <= datetime.now(UTC) + ONE
    assert receipt.transaction_id == side.trade(opening)["transactions"][0]["transaction"]
    assert (receipt.app_id, receipt.payee) == (side.access.credential.app_id, side.access.account.payee)


async def test_the_channel_hears_what_we_meant(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    trade = side.trade(opening)
    assert (trade["amount"], trade["subject"], trade["notify_url"]) == (8888, opening.subject, opening.notice_url)
    # To the second, in Beijing's time, and never later than we said.
    assert timedelta(0) <= opening.expires_at - datetime.fromisoformat(trade["deadline"]) < ONE


async def test_repeating_an_opening_gives_a_code_for_the_same_payment(side: Side) -> None:
    opening = side.opening()
    first, second = [await side.adapter.open(side.access, opening) for _ in range(2)]
    assert first == second
    side.trade(opening)  # there is one


async def test_reusing_a_number_for_another_amount_is_refused(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    with pytest.raises(ChannelRejected):
        await side.adapter.open(side.access, side.opening(number=opening.number, amount=Money(1)))


async def test_a_number_nobody_knows_is_absent_and_closing_it_is_harmless(side: Side) -> None:
    opening = side.opening()
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.ABSENT
    await side.adapter.close(side.access, opening.number)


async def test_a_closed_payment_stays_closed_and_can_be_closed_again(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.scan(opening)
    for _ in range(2):
        await side.adapter.close(side.access, opening.number)
        assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.CLOSED
    with pytest.raises(ChannelRejected):
        await side.adapter.open(side.access, opening)


async def test_a_paid_payment_cannot_be_closed_or_opened(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.pay(opening)
    for call in ("close", "open"):
        with pytest.raises(ChannelRejected) as refusal:
            await side.call(call, opening)
        assert refusal.value.code == "trade_paid"
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.PAID


async def test_many_calls_at_once_share_the_client(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.scan(opening)
    reports = await asyncio.gather(*(side.adapter.query(side.access, opening.number) for _ in range(40)))
    assert {report.state for report in reports} == {ChannelState.PENDING}
