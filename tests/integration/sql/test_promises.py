"""Every checker is seen to fail: the tables' owner breaks each promise and is found out; the main job breaks none."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.inbound.cli.doctor import examine
from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.promises import _CHECKERS, EXAMPLES, SqlPromises
from application.ports.promises import PROMISES
from domain.errors import DatabaseUnavailable
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.house import House
from tests.fakes.promises import FakePromises
from tests.fakes.rows import Tables
from tests.integration.sql.story import tell

Owner = Any  # asyncpg's connection, generic only in its stubs


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    """The use cases on PostgreSQL, with a clock that shows its time and can be advanced."""
    return House(clock=FakeClock(datetime.now(UTC)), database=cast("FakeDatabase", SqlDatabase(engine)))


@pytest.fixture
async def story(house: House) -> House:
    """The house when the whole story has been told."""
    await tell(house)
    return house


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
