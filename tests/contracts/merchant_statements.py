"""Contract of merchants' own statements: what moved is told once, and what is frozen stays."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from application.ports.storage import AlreadyExists
from domain.bookkeeping import payment_received, refund_accepted, refund_reserved
from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.merchant_statements import BALANCES, Entry, MerchantStatement
from domain.money import CNY, Money
from domain.payments import ChannelPayment
from domain.refunds import Refund, RefundStatus
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.contracts.stage import NOW, OnStage, Stage

ONE = timedelta(days=1)


def today() -> date:
    """What is posted now is on today's statement."""
    return shanghai_day(datetime.now(UTC))


def statement_of(stage: Stage, day: date | None = None) -> MerchantStatement:
    return MerchantStatement(merchant_id=stage.merchant.id, mode=Mode.TEST, day=day or today())


async def paid(stage: Stage) -> ChannelPayment:
    """A payment of 99.00 with a fee of 0.59, booked today."""
    order = await stage.order()
    attempt = await stage.attempt(order)
    payment = replace(stage.new_payment(order, attempt), paid_at=datetime.now(UTC), fee=Money(59))
    async with stage.unit_of_work() as uow:
        await uow.payments.add(payment)
        await uow.ledger.post(payment_received(payment))
    return payment


async def refunded(stage: Stage, payment: ChannelPayment) -> Refund:
    """39.60 of it given back today, with 0.24 of the fee."""
    now = datetime.now(UTC)
    refund = await stage.refund(
        payment, status=RefundStatus.SUCCEEDED, created_at=now, accepted_at=now, succeeded_at=now, channel_id="r1"
    )
    async with stage.unit_of_work() as uow:
        await uow.ledger.post(refund_reserved(refund))
        await uow.ledger.post(refund_accepted(refund))
    return refund


async def entries(stage: Stage, statement: MerchantStatement) -> list[Entry]:
    async with stage.unit_of_work() as uow:
        return [entry async for batch in uow.merchant_statements.entries(statement) for entry in batch]


def balances(**changes: int) -> tuple[int, ...]:
    return tuple(changes.get(name, 0) for name in BALANCES)


class MerchantStatementsContract(OnStage):
    async def test_each_fact_is_an_entry_with_what_it_moved_and_whose_it_is(self, stage: Stage) -> None:
        payment = await paid(stage)
        refund = await refunded(stage, payment)
        opening, *told = await entries(stage, statement_of(stage))
        assert (opening.type, opening.balances, opening.amount) == ("opening", balances(), None)
        assert [(e.type, e.object_id, e.balances, e.amount, e.fee) for e in told] == [
            ("payment", payment.id, balances(pending=9_841), 9_900, 59),
            ("refund_reserved", refund.id, balances(pending=-3_936, refunding=3_960), None, None),
            ("refund_accepted", refund.id, balances(refunding=-3_960), -3_960, -24),
        ]
        async with stage.unit_of_work() as uow:
            order = await uow.orders.get(str(payment.order_id))
        no = order.request.merchant_order_no
        for entry in told:
            assert (entry.order_id, entry.merchant_order_no, entry.method) == (order.id, no, "alipay_qr")
            assert (entry.account_id, entry.channel_date) == (stage.account.id, today())
            assert entry.at is not None
            assert shanghai_day(entry.at) == today()
        assert [entry.transaction_id for entry in told] == [payment.transaction_id, "r1", "r1"]
        assert [entry.merchant_refund_no for entry in told] == [
            "",
            refund.merchant_refund_no,
            refund.merchant_refund_no,
        ]
        assert told[0].channel_time == payment.paid_at
        assert told[2].channel_time == refund.accepted_at

    async def test_what_was_there_before_is_the_opening_and_nothing_of_others_is_told(self, stage: Stage) -> None:
        payment = await paid(stage)
        await refunded(stage, payment)
        (opening,) = await entries(stage, statement_of(stage, today() + ONE))
        assert opening.balances == balances(pending=5_905)
        for other in (
            replace(statement_of(stage), merchant_id="mch_0"),
            replace(statement_of(stage), mode=Mode.LIVE),
        ):
            assert [entry.type for entry in await entries(stage, other)] == ["opening"]

    async def test_the_opening_is_the_same_however_far_the_ledger_is_rolled_up(self, stage: Stage) -> None:
        await refunded(stage, await paid(stage))
        rolled_up = []
        for _ in range(6):
            for day, opening in ((today(), balances()), (today() + ONE, balances(pending=5_905))):
                first, *_ = await entries(stage, statement_of(stage, day))
                assert (first.type, first.balances) == ("opening", opening)
            async with stage.unit_of_work() as uow:
                rolled_up.append(await uow.ledger.roll_up(limit=2))
        assert (rolled_up[0], rolled_up[-1]) == (2, 0), "none of it, some of it, all of it"

    async def test_what_a_merchant_owes_is_told_as_such(self, stage: Stage) -> None:
        def account(kind: AccountKind, owner: str) -> Account:
            return Account(kind, owner, Mode.TEST, CNY)

        debt = Transfer(
            idem_key="debt:1",
            fact="debt",
            debit=account(AccountKind.MERCHANT_DEBT, stage.merchant.id),
            credit=account(AccountKind.ADJUSTMENT, PLATFORM),
            amount=Money(700),
            about="adj_1",
            channel_date=today(),
        )
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([debt])
        (_, entry) = await entries(stage, statement_of(stage))
        assert (entry.type, entry.object_id, entry.balances) == ("debt", "adj_1", balances(debt=700))
        assert (entry.order_id, entry.account_id, entry.amount) == ("", "", None)

    async def test_a_day_is_found_opened_and_claimed_once(self, stage: Stage) -> None:
        retry = NOW + timedelta(minutes=30)
        await paid(stage)
        async with stage.unit_of_work() as uow:
            assert list(await uow.merchant_statements.unopened(today() - ONE)) == []
            assert list(await uow.merchant_statements.unopened(today())) == [statement_of(stage)]
            await uow.merchant_statements.open(statement_of(stage), next_at=NOW)
        async with stage.unit_of_work() as uow:
            assert list(await uow.merchant_statements.unopened(today())) == []
            await uow.merchant_statements.open(statement_of(stage), next_at=NOW - ONE)
        async with stage.unit_of_work() as uow:
            early = NOW - timedelta(seconds=1)
            assert not await uow.merchant_statements.claim_due(early, retry_at=retry, limit=9)
            assert list(await uow.merchant_statements.claim_due(NOW, retry_at=retry, limit=9)) == [statement_of(stage)]
        async with stage.unit_of_work() as uow:
            assert not await uow.merchant_statements.claim_due(NOW, retry_at=retry, limit=9)
            assert await uow.merchant_statements.claim_due(retry, retry_at=retry, limit=9)

    async def test_it_waits_for_the_days_of_the_accounts_that_tell_of_it(self, stage: Stage) -> None:
        await paid(stage)
        day = StatementDay(account_id=stage.account.id, mode=Mode.TEST, day=today())
        async with stage.unit_of_work() as uow:
            assert await uow.merchant_statements.waits_for(statement_of(stage)) == 1
            await uow.bills.open_day(day)
        async with stage.unit_of_work() as uow:
            assert await uow.merchant_statements.waits_for(statement_of(stage)) == 1
            await uow.bills.save_day(replace(day, status=DayStatus.CLOSED))
        async with stage.unit_of_work() as uow:
            assert await uow.merchant_statements.waits_for(statement_of(stage)) == 0

    async def test_a_frozen_one_is_kept_to_the_byte_and_is_frozen_once(self, stage: Stage) -> None:
        content = bytes(range(256)) * 5_000  # more than a piece
        frozen = replace(statement_of(stage), frozen_at=NOW, sha256="ab", size=len(content), entries=3)
        later = statement_of(stage, today() + ONE)
        key = (stage.merchant.id, Mode.TEST)
        async with stage.unit_of_work() as uow:
            for one in (statement_of(stage), later):
                await uow.merchant_statements.open(one, next_at=NOW)
            assert list(await uow.merchant_statements.listed(*key, before=None, limit=9)) == [
                later,
                statement_of(stage),
            ]
        async with stage.unit_of_work() as uow:
            assert await uow.merchant_statements.frozen(*key, today()) is None
            await uow.merchant_statements.freeze(frozen, io.BytesIO(content))
        async with stage.unit_of_work() as uow:
            assert await uow.merchant_statements.frozen(*key, today()) == frozen
            pieces = [await uow.merchant_statements.piece(frozen, n) for n in range(3)]
            assert b"".join(piece or b"" for piece in pieces) == content
            assert pieces[2] is None
            due = await uow.merchant_statements.claim_due(NOW, retry_at=NOW + ONE, limit=9)
            assert list(due) == [later]
        with pytest.raises(AlreadyExists):
            async with stage.unit_of_work() as uow:
                await uow.merchant_statements.freeze(frozen, io.BytesIO(b"another"))
        async with stage.unit_of_work() as uow:
            listed = uow.merchant_statements.listed
            assert list(await listed(*key, before=None, limit=1)) == [later]
            assert list(await listed(*key, before=today() + ONE, limit=9)) == [frozen]
            assert not await listed(stage.merchant.id, Mode.LIVE, before=None, limit=9)
