"""Faults to plant in a life, each one that payment systems have had: a simulation that misses one proves nothing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from application.check_attempt import CheckAttempt
from application.confirm_attempt import ConfirmAttempt
from application.confirm_refund import ConfirmRefund
from application.ports.storage import UnitOfWork
from application.receive_notice import NoticeHandled
from application.reverse_attempt import ReverseAttempt
from application.submit_refund import SubmitRefund
from domain.attempts import Attempt
from domain.channels import Access, Channel, ChannelReport, ChannelState, Method, RefundReport, RefundState
from domain.choices import Choice
from domain.errors import ChannelUnavailable, OutcomeUnknown, PitayaError
from domain.merchants import Caller
from domain.notifications import Answer
from domain.orders import Order, OrderStatus
from domain.refunds import Refund
from tests.fakes.house import House
from tests.fakes.storage import Transaction
from tests.simulation.planted_afterwards import PLANTED_AFTERWARDS
from tests.simulation.planting import (
    DEADLY_SALES,
    REFUNDS,
    SALES,
    SCANS,
    SLOW_SCANS,
    TILLS,
    TROUBLED_REFUNDS,
    TROUBLED_TILLS,
    Planted,
)
from tests.simulation.processes import Process

NOTICES = "https://pay.example/notices"


def say_success_before_the_commit(house: House) -> None:
    """A notice is answered at once and taken into the books afterwards."""
    honest = house.receive_notice

    async def receive(channel: Channel, account_id: str, headers: Mapping[str, str], body: bytes) -> NoticeHandled:
        process = Process.here()
        assert process is not None
        process.spawn(honest(channel, account_id, headers, body))
        return NoticeHandled(house.channels[channel].answer(accepted=True), accepted=True, outcome="soon")

    house.receive_notice = receive  # type: ignore[assignment]


def write_the_outbox_after_the_commit(house: House) -> None:
    """An event's outbox row goes in a transaction of its own, after the one of its event."""
    database = house.database
    if "_commit" in vars(database):
        return
    honest = database._commit

    async def commit(transaction: Transaction) -> None:
        table, rows = transaction._writes.get("outbox", (database.tables.outbox, {}))
        late = {pk: rows.pop(pk) for pk, row in list(rows.items()) if row is not None}
        await honest(transaction)
        await database.pause("outbox.add")
        second = database._begin()
        for row in late.values():
            await second.insert(table, row)
        second.commit()
        await database.pause("committed")

    database._commit = commit  # type: ignore[method-assign]


def fan_out_in_two_transactions(house: House) -> None:
    """The outbox row goes in one transaction and its deliveries come in the next."""
    unit_of_work, honest = house.database.unit_of_work, house.fan_out

    async def fan_out() -> int:
        async with unit_of_work() as uow:
            events = await uow.outbox.claim(limit=100)
            await uow.outbox.done(events)
        async with unit_of_work() as uow:
            for event in events:
                await honest._fan_out(uow, event)
        return len(events)

    house.fan_out = fan_out  # type: ignore[assignment]


def believe_a_notification_delivered_before_it_is_sent(house: House) -> None:
    """At most once, where at least once was promised."""
    unit_of_work, clock = house.database.unit_of_work, house.clock

    async def deliver() -> int:
        delivered = Answer(status_code=200)
        async with unit_of_work() as uow:
            due = await uow.deliveries.claim_due(clock.now(), limit=100, per_endpoint=100)
            for each in due:
                await uow.deliveries.save(each.answered(delivered, clock.now()), delivered, clock.now())
            events = [await uow.events.get(each.event_id) for each in due]
        for each, event in zip(due, events, strict=True):
            await house.courier.deliver(each.url, event, [b"a secret"], now=clock.now())
        return len(due)

    house.deliver = deliver  # type: ignore[assignment]


def close_by_the_clock(house: House) -> None:
    """Orders expire without anybody asking the channel."""
    unit_of_work, clock = house.database.unit_of_work, house.clock

    async def expire() -> int:
        async with unit_of_work() as uow:
            due = await uow.orders.claim_expired(clock.now(), retry_at=clock.now(), limit=100)
            for order_id in due:
                order = await uow.orders.lock(order_id)
                await uow.orders.save(order.close("expired", now=clock.now()))
        return len(due)

    house.expire_orders = expire  # type: ignore[assignment]


def believe_nothing_but_notices(house: House) -> None:
    """Nobody polls."""

    async def check_due() -> int:
        async with house.database.unit_of_work() as uow:
            return len(await uow.attempts.claim_due(house.clock.now(), limit=100))

    house.check_due_attempts = check_due  # type: ignore[assignment]


def forget_the_codes_of_closed_orders(house: House) -> None:
    """What a first simulation found in us: a code that nobody had scanned was forgotten with its order."""
    unit_of_work, clock, check = house.database.unit_of_work, house.clock, house.check_attempt

    async def check_due() -> int:
        async with unit_of_work() as uow:
            due = await uow.attempts.claim_due(clock.now(), limit=100)
            pending = [each for each in due if (await uow.orders.get(each.order_id)).status is OrderStatus.PENDING]
        for attempt in pending:
            await check(attempt)
        return len(due)

    house.check_due_attempts = check_due  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class _Lockless(ConfirmAttempt):
    async def _find(
        self, uow: UnitOfWork, access: Access, number: str, *, watching: bool
    ) -> tuple[Order | None, Attempt | None]:
        seen: Any = uow
        attempt = seen._transaction.find(seen._database.tables.attempts, "uq_attempt_number", number)
        return (None, None) if attempt is None else (await uow.orders.get(attempt.order_id), attempt)


def confirm_without_locks(house: House) -> None:
    """Look whether the money is booked already, then book it: two at once both look first."""
    confirm = _Lockless(house.clock, house.ids)
    house.receive_notice = replace(house.receive_notice, confirm=confirm)
    house.check_due_attempts = replace(house.check_due_attempts, check=replace(house.check_attempt, confirm=confirm))


@dataclass(frozen=True, slots=True)
class _Incurious(CheckAttempt):
    """As it was: an answer counted as young as its arrival, and what WeChat Pay keeps open was left open."""

    async def __call__(self, attempt: Attempt) -> ChannelReport:
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(attempt.account_id)
        report = await self.channels[access.account.channel].query(access, attempt.number)
        if report.state is ChannelState.ABSENT and self.clock.now() >= attempt.expires_at:
            report = ChannelReport(report.number, ChannelState.CLOSED)
        if report.state in (ChannelState.PENDING, ChannelState.ABSENT):
            return report
        async with self.unit_of_work() as uow:
            await self.confirm(uow, access, report, evidence=f"query:{attempt.id}")
        return report


def leave_open_what_has_expired(house: House) -> None:
    """What this simulation found in us: an attempt beside the one that paid the order never came to its end."""
    house.check_due_attempts = replace(
        house.check_due_attempts,
        check=_Incurious(house.database.unit_of_work, house.channels, house.confirm, house.clock, house.hints),
    )


def leave_a_password_hanging(house: House) -> None:
    """What is still USERPAYING after the ladder is not reversed: the payer may enter the password for hours."""
    check, unit_of_work = house.check_attempt, house.database.unit_of_work

    async def check_due() -> int:
        async with unit_of_work() as uow:
            due = await uow.attempts.claim_due(house.clock.now(), limit=100)
        for attempt in due:
            with suppress(PitayaError):
                await check(attempt)
        return len(due)

    house.check_due_attempts = check_due  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class _Hopeful(ReverseAttempt):
    async def __call__(self, attempt: Attempt) -> ChannelState:
        try:
            return await ReverseAttempt.__call__(self, attempt)
        except (OutcomeUnknown, ChannelUnavailable):
            async with self.unit_of_work() as uow:
                await self._undone(uow, attempt.number)
            return ChannelState.CLOSED


def take_a_reverse_that_timed_out_for_done(house: House) -> None:
    """No answer to 撤销 counts as its success."""
    reverse = _Hopeful(house.database.unit_of_work, house.channels, house.confirm, house.clock, house.hints)
    house.check_due_attempts = replace(house.check_due_attempts, reverse=reverse)
    house.close_attempt = replace(house.close_attempt, reverse=reverse)


def store_the_bar_code(house: House) -> None:
    """The code is kept with the attempt, "for repeating the charge"."""
    honest = house.start_attempt

    async def start(caller: Caller, order_id: str, choice: Choice | Method) -> Attempt:
        if isinstance(choice, Choice) and choice.auth_code is not None:
            choice = replace(choice, return_url=choice.auth_code)
        return await honest(caller, order_id, choice)

    house.start_attempt = start  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class _Hasty(ConfirmRefund):
    def _told(self, refund: Refund, report: RefundReport, evidence: str) -> Refund:
        if report.state is RefundState.ACCEPTED:
            report = replace(report, state=RefundState.SUCCEEDED)
        return ConfirmRefund._told(self, refund, report, evidence)


def take_an_accepted_refund_for_one_that_arrived(house: House) -> None:
    """WeChat Pay's 200 says only that it took the request; whether the payer has the money it says later."""
    confirm = _Hasty(house.clock, house.ids)
    house.receive_notice = replace(house.receive_notice, confirm_refund=confirm)
    _refund_with(house, replace(house.submit_refund, confirm=confirm))


@dataclass(frozen=True, slots=True)
class _Restless(SubmitRefund):
    async def call(self, refund: Refund, access: Access, *, first: bool) -> Refund:
        if not first:
            refund = replace(refund, number=f"{refund.number[:-1]}X")
        return await SubmitRefund.call(self, refund, access, first=first)


def repeat_a_refund_under_another_number(house: House) -> None:
    """J2: a refund whose answer was lost is asked for again with a new number."""
    _refund_with(
        house,
        _Restless(
            house.database.unit_of_work,
            house.channels,
            house.confirm_refund,
            house.clock,
            house.hints,
            NOTICES,
            house.return_shares,
        ),
    )


def _refund_with(house: House, submit: SubmitRefund) -> None:
    house.submit_refund = submit
    house.check_due_refunds = replace(house.check_due_refunds, check=replace(house.check_refund, submit=submit))


PLANTED = (
    Planted(say_success_before_the_commit, "acknowledged and not stored", SALES),
    Planted(write_the_outbox_after_the_commit, "L3", DEADLY_SALES),
    Planted(fan_out_in_two_transactions, "L3", DEADLY_SALES),
    Planted(believe_a_notification_delivered_before_it_is_sent, "its merchant has not heard of it", DEADLY_SALES),
    Planted(close_by_the_clock, "closed as expired", SCANS),
    Planted(believe_nothing_but_notices, "paid and not booked", SCANS),
    Planted(forget_the_codes_of_closed_orders, "paid and not booked", SCANS),
    Planted(confirm_without_locks, "uq_channel_payment_transaction", SLOW_SCANS),
    Planted(leave_open_what_has_expired, "attempt without an end", SCANS),
    Planted(leave_a_password_hanging, "a bar code left hanging", TILLS),
    Planted(take_a_reverse_that_timed_out_for_done, "called undone, and at the channel", TROUBLED_TILLS),
    Planted(store_the_bar_code, "a bar code is stored", TILLS),
    Planted(take_an_accepted_refund_for_one_that_arrived, "is at its channel", REFUNDS),
    Planted(repeat_a_refund_under_another_number, "a refund without an end", TROUBLED_REFUNDS),
    *PLANTED_AFTERWARDS,
)
