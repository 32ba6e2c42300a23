"""A settlement is paid out once, whatever the rail, the wire and people do."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from application.manual_payouts import RECORD_PAYOUT, ProposePayoutEnd, RecordPayoutEnd
from application.propose import DecideProposal, Propose
from domain.actors import Actor, ActorKind
from domain.channels import Channel, Mode
from domain.errors import Conflict, Forbidden
from domain.ledger import AccountKind
from domain.money import Money
from domain.payouts import PayeeKind, PayoutState
from domain.proposals import Proposal
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from tests.approved import approved
from tests.fakes import ChannelFault
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FakeClock
from tests.fakes.house import House

MINA, NOAH = (
    Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=frozenset({"payouts.approve"}))
    for name in ("mina", "noah")
)
PAID = {"MA": 0, "MS": 0, "FI": 100}
BACK = {"MA": 10_000, "MS": 0, "FI": 0}


@dataclass
class Desk:
    """A house with one approved settlement: 100.00 swept, a fee of 1.00, so 99.00 to pay."""

    house: House
    settlement: Settlement
    account_id: str
    channel: FakeChannel

    @property
    def clock(self) -> FakeClock:
        assert isinstance(self.house.clock, FakeClock)
        return self.house.clock

    async def now(self) -> Settlement:
        async with self.house.database.unit_of_work() as uow:
            return await uow.settlements.get(self.settlement.id)

    async def ladder(self, times: int = 1) -> Settlement:
        for _ in range(times):
            self.clock.advance(7_200)
            await self.house.check_due_payouts()
        return await self.now()

    async def books(self) -> dict[str, int]:
        merchant = self.settlement.merchant_id
        owners = {"MA": merchant, "MS": merchant, "FI": "platform"}
        return {kind: await self.house.balance(AccountKind(kind), owner) for kind, owner in owners.items()}

    async def source(self) -> int:
        assert self.settlement.source is not None
        async with self.house.database.unit_of_work() as uow:
            return await uow.ledger.balance(self.settlement.source.account(Mode.TEST, "CNY"))

    async def notice(self) -> str:
        sent = self.channel.payouts.notice(self.settlement.number)
        handled = await self.house.receive_notice(self.channel._channel, self.account_id, *sent)
        return handled.outcome


async def desk(rail: Rail, **payee: Any) -> Desk:
    house = House()
    opened = await house.merchant()
    merchant = opened.merchant.id
    async with house.database.unit_of_work() as uow:
        accounts = await uow.accounts.serving(merchant, Mode.TEST)
    names = {each.access.account.channel: each.access.account.id for each in accounts}
    channel = house.wechat if rail is Rail.WECHAT else house.alipay
    account_id = names[channel._channel]
    source = Source() if rail is Rail.MANUAL else Source(rail, account_id, channel.payouts.fund)
    settlement = await approved(
        house.database.unit_of_work,
        house.vault,
        house.ids,
        house.clock.now(),
        merchant_id=merchant,
        source=source,
        **payee,
    )
    return Desk(house, settlement, account_id, channel)


async def test_alipay_pays_while_it_answers_and_what_it_took_is_booked() -> None:
    at = await desk(Rail.ALIPAY)
    at.channel.payouts.charge = Money(3)
    after = await at.house.pay_out(at.settlement.id)
    assert (after.status, after.charge, after.next_at) == (SettlementStatus.PAID, Money(3), None)
    assert at.channel.payouts.paid() == 9_900
    assert await at.books() == PAID
    assert await at.source() == 9_903
    assert after.paid_at is not None
    (request,) = [one.request for one in at.channel.payouts._payouts.values()]
    assert (request.payee, request.name, request.number) == ("cafe@example.com", "张三", at.settlement.number)


async def test_a_wechat_payee_confirms_and_the_notice_books_it_once() -> None:
    at = await desk(Rail.WECHAT)
    waiting = await at.house.pay_out(at.settlement.id)
    assert (waiting.status, waiting.confirmation) == (
        SettlementStatus.AWAITING_PAYEE,
        f"package-{at.settlement.number}",
    )
    assert waiting.snapshot()["confirmation"] == waiting.confirmation
    assert (await at.books())["MS"] == 10_000
    at.channel.payouts.become(at.settlement.number, PayoutState.PAID)
    assert [await at.notice(), await at.notice()] == ["payout", "known"]
    assert (await at.now()).status is SettlementStatus.PAID
    assert await at.books() == PAID


@pytest.mark.parametrize(
    ("said", "status"),
    [(PayoutState.FAILED, SettlementStatus.FAILED), (PayoutState.CANCELLED, SettlementStatus.CANCELLED)],
)
async def test_what_did_not_arrive_goes_back_to_the_merchant(said: PayoutState, status: SettlementStatus) -> None:
    at = await desk(Rail.WECHAT)
    await at.house.pay_out(at.settlement.id)
    at.channel.payouts.become(at.settlement.number, said, "OVERDUE_CLOSE")
    after = await at.ladder()
    assert (after.status, after.failure) == (status, "OVERDUE_CLOSE")
    assert await at.notice() == "known"
    assert await at.books() == BACK


@pytest.mark.parametrize("rail", [Rail.ALIPAY, Rail.WECHAT])
@pytest.mark.parametrize("fault", [ChannelFault.UNKNOWN_DONE, ChannelFault.UNKNOWN_UNDONE, ChannelFault.UNAVAILABLE])
async def test_an_answer_that_is_lost_pays_once_under_the_same_number(rail: Rail, fault: ChannelFault) -> None:
    at = await desk(rail)
    at.channel.faults.once(fault, at="payout")
    assert (await at.house.pay_out(at.settlement.id)).status is SettlementStatus.PAYING
    after = await at.ladder()
    if rail is Rail.WECHAT:
        assert after.confirmation is not None  # though its first answer was lost
        at.channel.payouts.become(at.settlement.number, PayoutState.PAID)
        after = await at.ladder()
    assert after.status is SettlementStatus.PAID
    assert at.channel.payouts.paid() == 9_900
    assert len(at.channel.payouts.reports()) == 1
    assert await at.books() == PAID


async def test_an_account_that_is_short_is_tried_again_and_says_so_meanwhile() -> None:
    at = await desk(Rail.ALIPAY)
    at.channel.faults.once(ChannelFault.FUNDS_SHORT, at="payout")
    after = await at.house.pay_out(at.settlement.id)
    assert (after.status, after.failure) == (SettlementStatus.PAYING, "channel_funds_short")
    after = await at.ladder()
    assert (after.status, after.failure) == (SettlementStatus.PAID, None)
    assert await at.books() == PAID


async def test_a_definite_no_is_asked_after_and_then_believed() -> None:
    at = await desk(Rail.ALIPAY)
    at.channel.faults.once(ChannelFault.REJECTED, at="payout")
    after = await at.house.pay_out(at.settlement.id)
    assert (after.status, after.failure) == (SettlementStatus.FAILED, "rejected")
    assert await at.books() == BACK
    assert await at.ladder(3) == after
    assert at.channel.payouts.reports() == []


async def test_a_no_to_a_repetition_does_not_deny_the_first() -> None:
    at = await desk(Rail.ALIPAY)
    at.channel.faults.once(ChannelFault.UNKNOWN_DONE, at="payout")
    await at.house.pay_out(at.settlement.id)
    async with at.house.database.unit_of_work() as uow:
        access = await uow.accounts.access(at.account_id)
    at.channel.faults.once(ChannelFault.REJECTED, at="payout")
    after = await at.house.pay_out.call(await at.now(), access)
    assert after.status is SettlementStatus.PAID
    assert await at.books() == PAID


async def test_money_that_comes_back_after_all_is_available_again() -> None:
    at = await desk(Rail.ALIPAY)
    at.channel.faults.once(ChannelFault.UNKNOWN_DONE, at="payout")
    await at.house.pay_out(at.settlement.id)
    at.channel.payouts.become(at.settlement.number, PayoutState.BOUNCED, "退票")
    after = await at.ladder()
    assert (after.status, after.failure) == (SettlementStatus.BOUNCED, "退票")
    assert await at.books() == {"MA": 9_900, "MS": 0, "FI": 100}
    assert await at.source() == 0


async def test_a_report_of_another_amount_moves_nothing() -> None:
    at = await desk(Rail.WECHAT)
    await at.house.pay_out(at.settlement.id)
    known = at.channel.payouts._payouts[at.settlement.number]
    known.request = replace(known.request, amount=Money(9_901))
    at.channel.payouts.become(at.settlement.number, PayoutState.PAID)
    assert await at.notice() == "mismatch"
    assert (await at.now()).status is SettlementStatus.AWAITING_PAYEE


async def test_what_contradicts_an_end_is_for_a_person() -> None:
    at = await desk(Rail.WECHAT)
    await at.house.pay_out(at.settlement.id)
    at.channel.payouts.become(at.settlement.number, PayoutState.FAILED, "OVERDUE_CLOSE")
    await at.ladder()
    at.channel.payouts.become(at.settlement.number, PayoutState.PAID)
    assert await at.notice() == "mismatch"
    assert await at.books() == BACK


async def test_two_workers_pay_one_settlement_once() -> None:
    at = await desk(Rail.ALIPAY)
    await asyncio.gather(*(at.house.another_process().pay_out(at.settlement.id) for _ in range(3)))
    assert at.channel.payouts.paid() == 9_900
    assert len(await at.house.transfers(at.settlement.id)) == 3
    assert await at.books() == PAID


async def test_a_payee_whom_the_rail_cannot_reach_gets_nothing_and_loses_nothing() -> None:
    at = await desk(Rail.ALIPAY, kind=PayeeKind.BANK)
    after = await at.house.pay_out(at.settlement.id)
    assert (after.status, after.failure) == (SettlementStatus.CANCELLED, "payee_not_on_this_rail")
    assert await at.books() == BACK


@pytest.mark.parametrize("sent", [False, True])
async def test_a_person_takes_back_what_has_not_arrived(*, sent: bool) -> None:
    at = await desk(Rail.WECHAT)
    if sent:
        await at.house.pay_out(at.settlement.id)
    after = await at.house.cancel_payout(MINA, at.settlement.id, "收款人要求")
    assert after.status is SettlementStatus.CANCELLED
    assert await at.books() == BACK
    assert (await at.ladder()).status is SettlementStatus.CANCELLED
    assert at.channel.payouts.paid() == 0


async def test_what_has_arrived_is_not_taken_back() -> None:
    at = await desk(Rail.ALIPAY)
    await at.house.pay_out(at.settlement.id)
    with pytest.raises(Conflict) as caught:
        await at.house.cancel_payout(MINA, at.settlement.id, "—")
    assert caught.value.code == "payout_not_cancellable"


# ── By bank ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Treasury:
    """Two people and their proposals."""

    at: Desk

    def __post_init__(self) -> None:
        house = self.at.house
        executors = {RECORD_PAYOUT: RecordPayoutEnd(house.confirm_payout)}
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        self.propose = ProposePayoutEnd(unit_of_work, Propose(unit_of_work, executors, clock, ids))
        self.decide = DecideProposal(unit_of_work, executors, clock, ids)

    async def says(self, end: PayoutState, charge: int = 0) -> Proposal:
        now = self.at.clock.now()
        return await self.propose(
            MINA, self.at.settlement.id, end, reference="B-1", at=now, charge=Money(charge), note="据回单"
        )


async def test_a_bank_file_has_what_the_bank_needs_and_is_taken_once() -> None:
    at = await desk(Rail.MANUAL)
    assert at.settlement.next_at is None
    file = await at.house.export_bank_file(MINA, [at.settlement.id])
    assert file.split("\r\n")[1] == f"张三,\t6225880123456789,招商银行,99.00,{at.settlement.number}"
    assert (await at.now()).status is SettlementStatus.PAYING
    assert await at.house.export_bank_file(MINA, [at.settlement.id]) == file  # lost, and again; still one payout
    with pytest.raises(Conflict):
        await at.house.cancel_payout(MINA, at.settlement.id, "—")
    assert await at.house.check_due_payouts() == 0


async def test_a_formula_in_a_holders_name_stays_a_name() -> None:
    at = await desk(Rail.MANUAL, holder="=HYPERLINK()")
    assert "\r\n'=HYPERLINK()," in await at.house.export_bank_file(MINA, [at.settlement.id])


async def test_a_file_is_all_or_nothing() -> None:
    at = await desk(Rail.MANUAL)
    await at.house.export_bank_file(MINA, [at.settlement.id])
    treasury = Treasury(at)
    await treasury.decide.approve(NOAH, (await treasury.says(PayoutState.PAID)).id)
    with pytest.raises(Conflict) as caught:
        await at.house.export_bank_file(MINA, [at.settlement.id])
    assert caught.value.code == "payout_not_exportable"


async def test_one_person_enters_the_reference_and_another_confirms_it() -> None:
    at = await desk(Rail.MANUAL)
    treasury = Treasury(at)
    with pytest.raises(Conflict):
        await treasury.says(PayoutState.PAID)  # nothing was sent yet
    await at.house.export_bank_file(MINA, [at.settlement.id])
    first, second = await treasury.says(PayoutState.PAID, 500), await treasury.says(PayoutState.PAID, 500)
    with pytest.raises(Forbidden):
        await treasury.decide.approve(MINA, first.id)
    assert (await at.books())["MS"] == 10_000
    await treasury.decide.approve(NOAH, first.id)
    with pytest.raises(Conflict):
        await treasury.decide.approve(NOAH, second.id)
    after = await at.now()
    assert (after.status, after.reference, after.charge) == (SettlementStatus.PAID, "B-1", Money(500))
    assert await at.books() == PAID
    assert await at.source() == 10_400


async def test_a_bank_that_did_not_pay_gives_it_back_and_so_does_one_that_returns_it_later() -> None:
    failed, bounced = await desk(Rail.MANUAL), await desk(Rail.MANUAL)
    for at, ends in ((failed, (PayoutState.FAILED,)), (bounced, (PayoutState.PAID, PayoutState.BOUNCED))):
        await at.house.export_bank_file(MINA, [at.settlement.id])
        for end in ends:
            treasury = Treasury(at)
            await treasury.decide.approve(NOAH, (await treasury.says(end)).id)
    assert await failed.books() == BACK
    assert (await failed.now()).failure == "据回单"
    assert await bounced.books() == {"MA": 9_900, "MS": 0, "FI": 100}
    assert await bounced.source() == 0


async def test_nobody_speaks_for_a_channel_but_of_what_came_back() -> None:
    unsure = await desk(Rail.ALIPAY)
    unsure.channel.faults.once(ChannelFault.UNKNOWN_DONE, at="payout")
    assert (await unsure.house.pay_out(unsure.settlement.id)).status is SettlementStatus.PAYING
    with pytest.raises(Conflict):
        await Treasury(unsure).says(PayoutState.FAILED)
    at = await desk(Rail.WECHAT)
    await at.house.pay_out(at.settlement.id)
    treasury = Treasury(at)
    with pytest.raises(Conflict):
        await treasury.says(PayoutState.PAID)
    at.channel.payouts.become(at.settlement.number, PayoutState.PAID)
    await at.ladder()
    await treasury.decide.approve(NOAH, (await treasury.says(PayoutState.BOUNCED)).id)
    assert (await at.now()).status is SettlementStatus.BOUNCED


def test_the_channels_of_payees_are_channels() -> None:
    assert {kind.at for kind in PayeeKind} == {"bank", *Channel}
