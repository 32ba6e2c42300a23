"""Every checker is seen to fail: the tables' owner breaks each promise and is found out; the main job breaks none."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.inbound.cli.doctor import examine
from adapters.outbound.roots import FileAuditRoots
from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.promises import _CHECKERS, EXAMPLES, SqlPromises
from application.book_entries import EntryWish, KeepBooks
from application.close_day import CloseDay
from application.open_merchant import OpenedMerchant
from application.ports.promises import PROMISES
from domain.account_entries import EntryKind
from domain.actors import SYSTEM
from domain.attempts import BARCODE_PATIENCE, AttemptStatus
from domain.channels import Channel, Method, Mode, RefundState
from domain.choices import Choice
from domain.errors import DatabaseUnavailable
from domain.ledger import Account, AccountKind, Transfer
from domain.merchants import LatePayment
from domain.money import Money
from domain.receivers import Receiver, ReceiverWish
from domain.refunds import RefundWish
from domain.shares import ShareStatus, ShareWish, WishedPart
from domain.sharing import ReceiverKind, Relation
from tests.contracts.books import RECEIVABLE, transfer
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.house import House, caller, request
from tests.fakes.promises import FakePromises
from tests.fakes.rows import Tables
from tests.fakes.treasury import Treasury

Owner = Any  # asyncpg's connection, generic only in its stubs


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    """The use cases on PostgreSQL, with a clock that shows its time and can be advanced."""
    return House(clock=FakeClock(datetime.now(UTC)), database=cast("FakeDatabase", SqlDatabase(engine)))


@pytest.fixture
async def story(house: House) -> House:
    """The main job in all its turns, both fund modes: paid, paid twice, wrong amount, closed, refunded, delivered."""
    for of_platform in (True, False):
        methods = (Method.ALIPAY_QR, Method.WECHAT_NATIVE, Method.WECHAT_BARCODE)
        merchant = await house.merchant(of_platform=of_platform, late_payment=LatePayment.REFUND, methods=methods)
        who, mode = caller(merchant), "c" if of_platform else "d"
        twice = await house.order(merchant, f"{mode}-twice", 10_001)
        first = await house.start_attempt(who, twice.id, Method.ALIPAY_QR)
        second = await house.start_attempt(who, twice.id, Method.WECHAT_NATIVE)
        house.alipay.pay(first.number)
        house.wechat.pay(second.number)
        await house.notice(house.alipay, first)
        await house.check_attempt(second)
        wrong = await house.start_attempt(who, (await house.order(merchant, f"{mode}-wrong")).id, Method.ALIPAY_QR)
        house.alipay.pay(wrong.number, total=Money(1))
        await house.notice(house.alipay, wrong)
        discounted_order = await house.order(merchant, f"{mode}-less")
        discounted = await house.start_attempt(who, discounted_order.id, Method.ALIPAY_QR)
        house.alipay.pay(discounted.number, received=Money(9_000))
        await house.check_attempt(discounted)
        closed = await house.order(merchant, f"{mode}-closed")
        await house.start_attempt(who, closed.id, Method.WECHAT_NATIVE)
        await house.close_order(closed.id, "merchant")
        await house.order(merchant, f"{mode}-pending")
        await house.refund(merchant, discounted_order, 3_333, f"{mode}-1")
        house.alipay.faults.once(ChannelFault.REJECTED, "refund")
        await house.refund(merchant, discounted_order, 3_333, f"{mode}-2")
        await house.request_refund(
            who, RefundWish(merchant_refund_no=f"{mode}-3", order_id=discounted_order.id, amount=Money(5))
        )
        back = await house.paid(merchant, Method.WECHAT_NATIVE, f"{mode}-back")
        await house.refund(merchant, back, 10_000, f"{mode}-4")
        number = house.alipay.console(wrong.number, Money(1))
        await house.refund_notice(house.alipay, number, wrong.account_id)
        await _undo_a_charge(house, merchant, mode)
        await _turn_refunds_round(house, merchant, mode)
    await house.check_due_refunds()
    debtor = (await house.merchant()).merchant.id
    async with house.database.unit_of_work() as uow:
        await uow.ledger.post([_debt(debtor)])
        wish = EntryWish(
            kind=EntryKind.TOP_UP,
            mode=Mode.TEST,
            amount=Money(50),
            reason="paid back",
            merchant_id=debtor,
            bank_reference="B-1",
        )
        assert (await KeepBooks(house.clock, house.ids).book(uow, SYSTEM, wish)).repaid == Money(20)
    await _settle_a_day(house)
    await _share(house)
    await house.roll_up()
    tomorrow = FakeClock(house.clock.now() + timedelta(days=1))
    await CloseDay(house.database.unit_of_work, FileAuditRoots.of_ledger(None, b"none"), tomorrow)()
    await house.fan_out()
    await house.deliver()
    return house


async def _undo_a_charge(house: House, merchant: OpenedMerchant, mode: str) -> None:
    """A payer enters the password in the instant in which we give up: the money comes, and the reverse takes it."""
    order, clock = await house.order(merchant, f"{mode}-undone"), house.clock
    assert isinstance(clock, FakeClock)
    now = clock.now()
    scanned = Choice(method=Method.WECHAT_BARCODE, auth_code=f"13456789012345{ord(mode):03}1")  # asks for a password
    attempt = await house.start_attempt(caller(merchant), order.id, scanned)
    house.wechat.faults.choose = lambda step: (
        ChannelFault.UNAVAILABLE if step.startswith(("reverse", "query")) else None
    )
    clock.advance(BARCODE_PATIENCE.total_seconds() + 6)
    await house.check_due_attempts()
    house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    house.wechat.faults.choose = None
    clock.advance(60)
    await house.check_due_attempts()
    clock.set(now)
    (undone,) = await house.attempts(order)
    assert undone.status is AttemptStatus.REVERSED


async def _turn_refunds_round(house: House, merchant: OpenedMerchant, mode: str) -> None:
    """Closed after it was accepted; given up and paid after all; made in the console, and closed there."""
    order = await house.paid(merchant, Method.WECHAT_NATIVE, f"{mode}-round")
    closed = await house.refund(merchant, order, 1_000, f"{mode}-closed")
    house.wechat.settle(closed.number, RefundState.CLOSED)
    await house.refund_notice(house.wechat, closed.number, closed.account_id)
    (payment,) = await house.payments(order)
    for state in (RefundState.SUCCEEDED, RefundState.CLOSED):
        number = house.wechat.console(payment.number, Money(500))
        await house.refund_notice(house.wechat, number, payment.account_id)
        house.wechat.settle(number, state)
        await house.refund_notice(house.wechat, number, payment.account_id)
    other = await house.paid(merchant, Method.ALIPAY_QR, f"{mode}-after-all")
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    refused = await house.refund(merchant, other, 2_000, f"{mode}-after-all")
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refused.account_id)
    await house.alipay.refund(access, refused.request("https://pay.example/notices"))
    await house.refund_notice(house.alipay, refused.number, refused.account_id)
    ended = [*await house.refunds(order), *await house.refunds(other)]
    assert Counter(str(each.status) for each in ended) == {"failed": 2, "succeeded": 2}


async def _settle_a_day(house: House) -> None:
    """A payment is released and settled tomorrow, and a part of it was given back before."""
    merchant, treasury = await house.merchant(), Treasury(house)
    order = await house.paid(merchant, no="e-released")
    await house.refund(merchant, order, 1_000, "e-1")
    (payment,) = await house.payments(order)
    clock = house.clock
    assert isinstance(clock, FakeClock)
    now = clock.now()
    clock.advance(86_400)
    await treasury.rule(merchant, risk_days=0)
    await treasury.close_one(payment.account_id, payment.mode, payment.channel_date)
    await treasury.sweep()
    await treasury.settled(merchant)
    clock.set(now)


async def _share(house: House) -> None:
    """The platform's part of a payment goes to it, and comes back with a refund of two fifths."""
    merchant, now = await house.merchant(of_platform=False), house.clock.now()
    whose, house.wechat.sharing.at_once = merchant.merchant.id, True
    order = await house.place_order(caller(merchant), replace(request("f-shared"), profit_sharing=True))
    attempt = await house.start_attempt(caller(merchant), order.id, Method.WECHAT_NATIVE)
    house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    wish = ReceiverWish(
        account_id=attempt.account_id,
        kind=ReceiverKind.WECHAT_MERCHANT,
        account="1900000777",
        name="平台公司",
        relation=Relation.SERVICE_PROVIDER,
        platform_account_id=RECEIVABLE.owner,
    )
    receiver = Receiver(
        id=house.ids.new("rcv"),
        merchant_id=whose,
        mode=Mode.TEST,
        channel=Channel.WECHAT,
        number=house.ids.new("num"),
        wish=wish,
        created_at=now,
    ).created(now)
    async with house.database.unit_of_work() as uow:
        await uow.receivers.add(receiver)
        await uow.receivers.save(replace(receiver, events=()).approved(now))
    await house.tell_due_receivers()
    part = WishedPart(receiver_id=receiver.id, amount=Money(1_000), description="佣金")
    share = await house.request_share(
        caller(merchant), ShareWish(merchant_share_no="S-1", order_id=order.id, parts=(part,))
    )
    assert (await house.submit_share(share.id)).status is ShareStatus.FINISHED
    refund = await house.refund(merchant, order, 4_000, "f-1")
    house.wechat.settle(refund.number)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)


def _debt(merchant_id: str) -> Transfer:
    debt = Account(AccountKind.MERCHANT_DEBT, merchant_id, Mode.TEST, "CNY")
    return replace(transfer("debt", 20, debit=debt, credit=RECEIVABLE, about="elsewhere"), fact="debit")


async def broken(engine: AsyncEngine) -> list[str]:
    return [breach.promise for breach in await SqlPromises(engine).broken()]


def test_both_databases_check_every_promise_and_no_other() -> None:
    assert list(_CHECKERS) == list(PROMISES)
    assert list(FakePromises(Tables(), FakeClock()).checkers) == list(PROMISES)


async def test_an_empty_database_breaks_no_promise(engine: AsyncEngine) -> None:
    assert await SqlPromises(engine).broken() == []


async def test_the_main_job_breaks_none(engine: AsyncEngine, story: House) -> None:
    assert await SqlPromises(engine).broken() == []


A_PAID = "(SELECT id FROM payment_order WHERE merchant_order_no = 'c-less')"
A_PAYMENT = f"(SELECT id FROM channel_payment WHERE order_id = {A_PAID})"
BOOK_AGAIN = f"""
INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about, channel_date)
SELECT idem_key || '2', fact, debit_account, credit_account, amount, currency, mode, about, channel_date
FROM transfer WHERE about = {A_PAYMENT}"""
PUBLISH_AGAIN = """
INSERT INTO event (id, type, object_id, merchant_id, mode, at, api_version, data, announced)
SELECT id || '2', type, object_id, merchant_id, mode, at, api_version, data, announced FROM event"""
DELIVER_AGAIN = """
ALTER TABLE delivery DROP CONSTRAINT uq_delivery_event_endpoint;
INSERT INTO delivery (id, event_id, endpoint_id, merchant_id, mode, url, lane, created_at, status, tries, tries_before,
  in_flight)
SELECT id || '2', event_id, endpoint_id, merchant_id, mode, url, lane, created_at, status, tries, tries_before,
  in_flight FROM delivery"""
NOT_REFUNDED = "UPDATE refund SET status = 'failed' WHERE item_id IS NOT NULL"
UNCONSTRAINED = "ALTER TABLE payment_order DROP CONSTRAINT ck_payment_order_refunds"
WHATEVER = "SET LOCAL session_replication_role = replica"
TURN = "UPDATE transfer SET debit_account = credit_account, credit_account = debit_account"
DO = "(SELECT id FROM ledger_account WHERE kind = 'DO')"
OF_DIRECT = f"debit_account IN {DO}"
A_FAILED = "(SELECT id FROM refund WHERE merchant_refund_no = 'c-2')"
A_CLOSED = "(SELECT id FROM refund WHERE merchant_refund_no = 'c-closed')"
_PARTS = "replace(parts::text, '{}', '{}')::json"
A_BILL = f"""{WHATEVER};
INSERT INTO fund_line (file_id, n, account_id, day, fund, flow_id, transaction_id, number, movement, amount, balance,
  at, words)
SELECT 'fil_1', 1, account_id, '2026-11-22', 'BASIC', 'flow-1', 'tx', number, 'shared', -1001, 0, now(), ''
FROM share WHERE NOT ends"""
# promise, what its breach says of it, and the statement by which the tables' owner breaks it
DEEDS = [
    ("M1", "sum", "UPDATE ledger_account SET mode = 'live' WHERE kind = 'FI'"),
    ("M1", "sum", "DELETE FROM ledger_account WHERE kind = 'FI'"),
    ("M2", "not booked", f"DELETE FROM transfer WHERE about = {A_PAYMENT} AND idem_key LIKE '%:net'"),
    ("M2", "booked amiss", f"UPDATE transfer SET amount = amount + 1 WHERE about = {A_PAYMENT}"),
    (
        "M2",
        "booked amiss",
        BOOK_AGAIN,
    ),
    ("M2", "booked amiss", f"UPDATE transfer SET channel_date = channel_date - 1 WHERE about = {A_PAYMENT}"),
    ("M3", "no evidence", "DELETE FROM notice"),
    ("M3", "no evidence", "UPDATE notice SET outcome = 'mismatch'"),
    ("M3", "no evidence", "UPDATE channel_payment SET evidence = 'a friend told us'"),
    ("M3", "no evidence", f"UPDATE channel_payment SET number = 'other' WHERE id = {A_PAYMENT}"),
    ("M3", "does not fit", f"UPDATE channel_payment SET total = total - 1 WHERE id = {A_PAYMENT}"),
    ("M3", "does not fit", f"UPDATE payment_order SET amount = amount - 1 WHERE id = {A_PAID}"),
    ("M3", "without a payment", f"UPDATE channel_payment SET unattributed = 'late' WHERE id = {A_PAYMENT}"),
    ("M3", "a refund without evidence", "UPDATE refund SET evidence = 'a friend told us'"),
    ("M3", "a refund without evidence", "DELETE FROM notice WHERE outcome = 'refund'"),
    ("M4", "not in the queue", "SET LOCAL session_replication_role = replica; DELETE FROM suspense_item"),
    ("M4", "not in the queue", "UPDATE suspense_item SET amount = amount + 1"),
    ("M4", "differ from the balance", "DELETE FROM transfer WHERE fact = 'refund_unasked'"),
    ("M4", "not what its refunds come to", "UPDATE suspense_item SET status = 'open'"),
    ("M4", "not booked", "DELETE FROM transfer WHERE fact = 'payment_held'"),
    ("M5", "no constraint", UNCONSTRAINED),
    (
        "M5",
        "refunded more",
        f"{UNCONSTRAINED}; UPDATE payment_order SET refunding = paid + 1",
    ),
    ("M5", "not what its refunds come to", "UPDATE payment_order SET refunded = refunded - 1 WHERE refunded > 0"),
    ("M5", "not what its refunds come to", "UPDATE refund SET status = 'failed' WHERE status = 'requested'"),
    ("M5", "MR", "UPDATE refund SET status = 'accepted' WHERE status = 'requested'"),
    ("M5", "CR", "DELETE FROM transfer WHERE fact = 'refund_accepted'"),
    ("M5", "FI", "UPDATE refund SET share = share - 1 WHERE share > 0 AND fund_mode = 'direct'"),
    ("M5", "SUS", "DELETE FROM transfer WHERE fact = 'refund_unasked'"),
    ("M5", "ADJ", f"{NOT_REFUNDED}; UPDATE suspense_item SET status = 'written_off'"),
    ("M4", "undone payment not booked", "DELETE FROM transfer WHERE fact = 'payment_reversed'"),
    ("M4", "undone payment not booked", f"DELETE FROM transfer WHERE fact = 'payment_reversed' AND {OF_DIRECT}"),
    ("M4", "undone payment not booked", "UPDATE transfer SET amount = amount + 1 WHERE fact = 'payment_reversed'"),
    ("M4", "undone payment not booked", f"{TURN} WHERE fact = 'payment_reversed' AND {OF_DIRECT}"),
    ("M4", "booked as undone", "UPDATE suspense_item SET status = 'open' WHERE reason = 'reversed'"),
    ("M4", "booked as undone", "UPDATE transfer SET fact = 'payment_reversed' WHERE fact = 'refund_closed'"),
    ("M5", "refund_reserved", f"DELETE FROM transfer WHERE about IN {A_FAILED}"),
    ("M5", "refund_void", f"UPDATE transfer SET fact = 'refund_closed' WHERE about IN {A_FAILED}"),
    ("M5", "refund_accepted", f"DELETE FROM transfer WHERE about IN {A_CLOSED} AND idem_key ~ 'accepted$'"),
    ("M5", "closed:accepted", "UPDATE transfer SET fact = 'refund_void' WHERE fact = 'refund_closed'"),
    ("M5", "closed:unasked:", "DELETE FROM transfer WHERE idem_key ~ ':closed:unasked:'"),
    ("M5", "unasked:pending", "UPDATE transfer SET fact = 'refund_accepted' WHERE fact = 'refund_unasked'"),
    ("M5", "no such name", f"{TURN} WHERE about IN {A_FAILED}"),
    ("M5", "by its name", "UPDATE transfer SET idem_key = idem_key || 'x' WHERE fact = 'refund_reserved'"),
    ("M5", "by its name", "UPDATE transfer SET channel_date = channel_date - 1 WHERE fact = 'refund_accepted'"),
    ("M6", "MP", "DELETE FROM transfer WHERE fact = 'payment'"),
    ("M6", "SUS", "DELETE FROM transfer WHERE fact = 'payment_held'"),
    ("M7", "not what is inside", "UPDATE settlement SET swept = swept + 1"),
    ("M7", "not what is inside", "UPDATE settlement_transfer SET settlement_id = NULL WHERE amount > 0"),
    ("M7", "not what is inside", "DELETE FROM settlement_transfer WHERE amount < 0"),
    ("M7", "booked amiss", "UPDATE settlement SET status = 'rejected'"),
    ("M7", "booked amiss", f"{WHATEVER}; DELETE FROM transfer WHERE fact = 'settlement_created'"),
    (
        "M7",
        "not the balance",
        "UPDATE settlement_transfer SET settlement_id = NULL WHERE amount < 0",
    ),
    ("M8", "UPDATE", "GRANT UPDATE (amount) ON transfer TO pitaya_app"),
    ("M8", "DELETE", "GRANT DELETE ON event TO pitaya_app"),
    ("M8", "TRUNCATE", "GRANT TRUNCATE ON notice TO pitaya_app"),
    ("M9", "rolled up amiss", "UPDATE balance_snapshot SET balance = balance + 1"),
    ("M9", "rolled up amiss", "DELETE FROM balance_snapshot"),
    ("M9", "rolled up amiss", "DELETE FROM balance_cursor"),
    ("M10", "not what was received", f"UPDATE channel_payment SET received = received + 10 WHERE id = {A_PAYMENT}"),
    ("M10", "not the fee agreed", f"UPDATE channel_payment SET fee = fee - 1 WHERE id = {A_PAYMENT}"),
    ("M10", "not the whole fee", "UPDATE refund SET share = 0, fund_mode = 'direct', from_pending = 0"),
    ("M10", "a kept fee went back", "UPDATE attempt SET fee_kept = true"),
    ("M10", "a float", "ALTER TABLE channel_payment ADD COLUMN share double precision"),
    (
        "M11",
        "not booked",
        "SET LOCAL session_replication_role = replica; DELETE FROM transfer WHERE fact = 'debt_repaid'",
    ),
    (
        "M11",
        "not booked",
        "SET LOCAL session_replication_role = replica; DELETE FROM transfer WHERE fact = 'topped_up'",
    ),
    ("M11", "booked amiss", "DELETE FROM account_entry"),
    ("M11", "booked amiss", "UPDATE account_entry SET amount = amount + 1"),
    ("M9", "of another server", "UPDATE balance_cursor SET xid = '9999999999'"),
    ("M12", "opened amiss", "UPDATE account_closing SET opening = opening + 1, closing = closing + 1"),
    ("M12", "made or lost", "DELETE FROM account_closing WHERE credits = 0"),
    ("M13", "booked amiss", f"{WHATEVER}; DELETE FROM transfer WHERE idem_key LIKE 'share:%:out'"),
    ("M13", "booked amiss", "UPDATE transfer SET amount = amount + 1 WHERE idem_key LIKE 'share_return:%:fee'"),
    ("M13", "booked amiss", "UPDATE share_return SET from_fee = from_fee + 1"),
    ("M13", "booked amiss", f"UPDATE share SET parts = {_PARTS.format('succeeded', 'closed')} WHERE NOT ends"),
    (
        "M13",
        "shared more",
        "UPDATE channel_payment SET received = 599 WHERE id = (SELECT payment_id FROM share LIMIT 1)",
    ),
    ("M13", "more came back", "UPDATE share_return SET amount = amount + 601"),
    ("M13", "more came back", f"UPDATE share SET parts = {_PARTS.format('succeeded', 'closed')} WHERE NOT ends"),
    ("M13", "the bill moved more", A_BILL),
    ("L1", "ord_", "SET LOCAL session_replication_role = replica; DELETE FROM payment_order WHERE status = 'pending'"),
    ("L1", "ord_", "SET LOCAL session_replication_role = replica; DELETE FROM event WHERE type = 'order.paid'"),
    ("L1", "att_", "DELETE FROM event WHERE type = 'attempt.succeeded'"),
    ("L1", "ref_", "DELETE FROM event WHERE type = 'refund.submitted'"),
    ("L2", "whatever", "UPDATE notice SET outcome = 'whatever'"),
    ("L2", "confirmed", "UPDATE channel_payment SET evidence = 'query:' || attempt_id"),
    ("L3", "not sent", "DELETE FROM delivery_try; DELETE FROM delivery"),
    (
        "L3",
        "to be fanned out",
        "INSERT INTO outbox (event_id, created_at) SELECT id, now() - interval '6 min' FROM event",
    ),
    ("L3", "due and not tried", "UPDATE delivery SET status = 'due', next_at = now() - interval '6 min'"),
    ("L3", "due and not tried", "UPDATE delivery SET status = 'due', next_at = NULL"),
    ("L3", "delivered without a try", "UPDATE delivery_try SET status_code = 500"),
    ("L3", "exhausted without a try", "DELETE FROM delivery_try; UPDATE delivery SET status = 'exhausted'"),
    ("L4", "order still pending", "UPDATE payment_order SET expires_at = now() - interval '11 min'"),
    ("L4", "nobody asks", "UPDATE attempt SET status = 'pending', next_at = NULL"),
    ("L4", "nobody asks", "UPDATE attempt SET status = 'unknown', next_at = now() - interval '11 min'"),
    ("L4", "without an end", "UPDATE attempt SET status = 'pending', expires_at = now() - interval '25 h'"),
    ("L4", "refund nobody asks about", "UPDATE refund SET next_at = NULL WHERE status = 'accepted'"),
    ("L4", "refund nobody asks about", "UPDATE refund SET next_at = now() - interval '11 min'"),
    (
        "L5",
        "published twice",
        PUBLISH_AGAIN,
    ),
    (
        "L5",
        "two deliveries",
        DELIVER_AGAIN,
    ),
    ("R3", "before its day was closed", "UPDATE statement_day SET closed_by = NULL"),
    ("R3", "not what was released", "UPDATE release SET released = released - 1"),
    ("R3", "not what was released", f"{WHATEVER}; DELETE FROM transfer WHERE fact = 'released'"),
    ("R3", "more or less than it brought", "UPDATE refund SET status = 'failed' WHERE merchant_refund_no = 'e-1'"),
]


async def test_each_broken_promise_is_reported(engine: AsyncEngine, owner: Owner, story: House) -> None:
    """One by one in a transaction of the owner's own, whose end undoes it: the checkers look from inside it."""
    missed = []
    for promise, says, deed in DEEDS:
        transaction = owner.transaction()
        await transaction.start()
        try:
            await owner.execute(deed)
            await owner.execute("SET LOCAL ROLE pitaya_app")
            breach = await SqlPromises(engine)._check(owner, promise)
            if not any(says in str(row) for row in breach.rows):
                missed.append((promise, says, breach.rows))
        finally:
            await transaction.rollback()
    assert not missed
    assert {promise for promise, _, _ in DEEDS} == set(PROMISES)
    assert await broken(engine) == []


async def test_no_checker_answers_with_more_rows_than_one_wants_to_read(
    engine: AsyncEngine, owner: Owner, story: House
) -> None:
    await owner.execute("UPDATE channel_payment SET evidence = 'none', fee = 0, received = 5")
    breaches = await SqlPromises(engine).broken()
    assert [breach.promise for breach in breaches] == ["M2", "M3", "M4", "M10", "M13", "L2"]
    assert max(len(breach.rows) for breach in breaches) <= EXAMPLES


async def test_the_bounds_are_the_callers(engine: AsyncEngine, owner: Owner, story: House) -> None:
    await owner.execute("UPDATE payment_order SET expires_at = now() - interval '1 min' WHERE status = 'pending'")
    assert await broken(engine) == []
    strict = await SqlPromises(engine, settling=timedelta(seconds=30)).broken()
    assert [breach.promise for breach in strict] == ["L4"]


async def test_the_doctor_prints_each_promise_and_the_rows_that_break_it(
    engine: AsyncEngine, owner: Owner, story: House
) -> None:
    text, kept = await examine(SqlPromises(engine))
    assert kept
    assert [line.split()[:2] for line in text.splitlines()] == [["ok", promise] for promise in PROMISES]
    await owner.execute("UPDATE channel_payment SET evidence = 'none' WHERE unattributed = 'wrong_amount'")
    text, kept = await examine(SqlPromises(engine))
    assert not kept
    marks = [line.split()[:2] for line in text.splitlines() if not line.startswith(" ")]
    assert ["broken", "M3"] in marks
    assert ["ok", "M1"] in marks
    assert "what=no evidence  id=pay_" in text


async def test_the_checkers_write_nothing_and_leave_the_connection_clean(engine: AsyncEngine, owner: Owner) -> None:
    promises = SqlPromises(engine)
    assert await promises.broken() == await promises.broken() == []
    open_ = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    assert await owner.fetchval(open_) == 0


async def test_a_database_that_is_away_is_said_so(module_database_url: str) -> None:
    engine = create_engine(make_url(module_database_url).set(database="pitaya_test_nowhere"), pool_size=1)
    with pytest.raises(DatabaseUnavailable):
        await SqlPromises(engine).broken()
    await engine.dispose()
