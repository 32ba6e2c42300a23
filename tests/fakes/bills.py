"""Statements in memory: the comparison said again in sets of Python."""

import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import IO, TypeVar

from application.ports.bills import Compared, FundBalance, FundLines, Moved, Sides, Span
from domain.channels import Channel
from domain.errors import NotFound
from domain.ledger import Account, AccountKind
from domain.numbers import PREFIX
from domain.payments import ChannelPayment
from domain.reconciliation import Discrepancy, Ours, net
from domain.refunds import Refund, RefundStatus
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    LineKind,
    Lines,
    LineStatus,
    Movement,
    StatementDay,
    StatementFile,
)
from domain.times import shanghai_day
from tests.fakes.rows import KeptBill, KeptFile, Tables
from tests.fakes.storage import Transaction

T = TypeVar("T")

_NEIGHBOURS = timedelta(days=4)
_UNREAD = {DayStatus.AWAITING_BILL, DayStatus.FETCH_FAILED}
_ORDINARY = {Movement.PAYMENT, Movement.REFUND, Movement.FEE, Movement.FEE_RETURNED, Movement.REFUND_CLOSED}


class FakeBills:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    # ── Days ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_day(self, day: StatementDay) -> bool:
        await self._transaction.statement("bills.open_day")
        return await self._transaction.insert(self._tables.days, day, ignoring="pk_statement_day")

    async def day(self, account_id: str, day: date) -> StatementDay:
        await self._transaction.statement("bills.day")
        return _there(self._transaction.get(self._tables.days, (account_id, day)))

    async def lock_day(self, account_id: str, day: date) -> StatementDay:
        await self._transaction.statement("bills.lock_day")
        row = await self._transaction.lock(self._tables.days, (account_id, day))
        return _there(row)

    async def save_day(self, day: StatementDay) -> None:
        await self._transaction.statement("bills.save_day")
        await self._transaction.update(self._tables.days, day)

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[StatementDay]:
        await self._transaction.statement("bills.claim_due")
        rows = [row for row in self._transaction.rows(self._tables.days) if row.next_at and row.next_at <= now]
        claimed: list[StatementDay] = []
        for row in sorted(rows, key=lambda row: (str(row.next_at), row.account_id, row.day)):
            if len(claimed) < limit and self._transaction.take(self._tables.days, (row.account_id, row.day)):
                claimed.append(replace(row, next_at=retry_at))
                await self._transaction.update(self._tables.days, claimed[-1])
        return sorted(claimed, key=lambda row: (row.day, row.account_id))

    async def ready_to_close(self, *, limit: int) -> Sequence[StatementDay]:
        await self._transaction.statement("bills.ready_to_close")
        rows = self._transaction.rows(self._tables.days)
        days = [row for row in rows if row.status is DayStatus.MATCHED and row.next_at is None and not row.held]
        return sorted(days, key=lambda row: (row.day, row.account_id))[:limit]

    async def spans(self, account_id: str | None = None) -> Sequence[Span]:
        await self._transaction.statement("bills.spans")
        first: dict[str, date] = {}
        for one in self._recorded():
            first.setdefault(one.account_id, one.channel_date)
        spans = []
        for of, day in sorted(first.items()):
            if account_id not in (None, of):
                continue
            account = self._transaction.get(self._tables.accounts, of)
            assert account is not None
            days = [row for row in self._transaction.rows(self._tables.days) if row.account_id == of]
            last_read = max((row.day for row in days if row.status not in _UNREAD), default=None)
            last_opened = max((row.day for row in days), default=None)
            spans.append(Span(of, account.mode, day, last_opened, last_read))
        return spans

    # ── Files and lines ──────────────────────────────────────────────────────────────────────────────────────────────

    async def store(self, file: StatementFile, source: IO[bytes], lines: Iterable[Lines | FundLines]) -> int:
        await self._transaction.statement("bills.store")
        bill = KeptBill(file.account_id, file.day, file.bill, tuple(itertools.chain.from_iterable(lines)))
        key = (file.account_id, file.day, file.bill)
        if self._transaction.get(self._tables.bills, key) is not None:
            await self._transaction.update(self._tables.bills, bill)
        else:
            await self._transaction.insert(self._tables.bills, bill)
        if self._file_like(file) is None:
            source.seek(0)
            kept = KeptFile(replace(file, lines=len(bill.lines)), source.read())
            await self._transaction.insert(self._tables.files, kept)
        return len(bill.lines)

    async def file(self, account_id: str, day: date, bill: str) -> StatementFile | None:
        await self._transaction.statement("bills.file")
        sha256 = _there(self._transaction.get(self._tables.days, (account_id, day))).files.get(bill)
        for kept in self._transaction.rows(self._tables.files):
            file = kept.file
            if (file.account_id, file.day, file.bill, file.sha256) == (account_id, day, bill, sha256):
                return file
        return None

    async def content(self, file: StatementFile) -> AsyncIterator[bytes]:
        await self._transaction.statement("bills.content")
        kept = self._transaction.get(self._tables.files, file.id)
        if kept is not None:
            yield kept.content

    async def line(self, account_id: str, day: date, n: int) -> Line:
        await self._transaction.statement("bills.line")
        found = [line for line in self._lines(account_id) if (line.day, line.n) == (day, n)]
        return _there(found[0] if found else None)

    def _file_like(self, file: StatementFile) -> StatementFile | None:
        same = (file.account_id, file.day, file.bill, file.sha256)
        for kept in self._transaction.rows(self._tables.files):
            if (kept.file.account_id, kept.file.day, kept.file.bill, kept.file.sha256) == same:
                return kept.file
        return None

    # ── Comparing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def compare(self, account_id: str, day: date, *, ours_only: bool) -> Compared:
        await self._transaction.statement("bills.compare")
        every = [line for line in self._lines(account_id) if line.day == day]
        theirs = [line for line in every if not ours_only or _ours_by_scheme(line)]
        mine = [one for one in self._recorded() if (one.account_id, one.channel_date) == (account_id, day)]
        told = {_of_ours(one) for one in mine}
        said = {_of_line(line) for line in theirs}
        keys = {_key(line) for line in theirs if _of_line(line) not in told}
        keys |= {_key(one) for one in mine if _of_ours(one) not in said}
        seen = Counter((line.kind, _key(line)) for line in theirs)
        keys |= {key for (_, key), times in seen.items() if times > 1}
        lines = [line for line in self._lines(account_id) if _key(line) in keys and _near(line.day, day)]
        flows = self._fund_lines(account_id, day)
        gone = {flow.transaction_id for flow in flows if flow.movement is Movement.REFUND}
        fees = [line.fee for line in theirs if line.status is not LineStatus.FAILED or line.transaction_id in gone]
        return Compared(
            matched=len(theirs) - sum(1 for line in lines if line.day == day),
            foreign=len(every) - len(theirs),
            lines=sorted(lines, key=lambda line: (line.day, line.n)),
            ours=self._ours_near(account_id, day, keys),
            fee=sum(fee for fee in fees if fee > 0),
            fee_returned=-sum(fee for fee in fees if fee < 0),
        )

    def _ours_near(self, account_id: str, day: date, keys: set[str]) -> list[Ours]:
        here = {_key(line) for line in self._lines(account_id)}
        elsewhere = {
            _key(line)
            for bill in self._transaction.rows(self._tables.bills)
            for line in bill.lines
            if bill.account_id != account_id and isinstance(line, Line)
        }
        return [
            one
            for one in (self._recorded() if keys else ())
            if _key(one) in keys
            and _near(one.channel_date, day)
            and not (one.account_id == account_id and _key(one) in elsewhere - here)
        ]

    async def compare_funds(self, account_id: str, day: date) -> Sequence[Moved]:
        await self._transaction.statement("bills.compare_funds")
        traded, taken, moved = (defaultdict[str, int](int) for _ in range(3))
        numbers, lasting = dict[str, str](), set[str]()
        for flow in self._fund_lines(account_id, day):
            if flow.movement in _ORDINARY - {Movement.REFUND_CLOSED}:  # it moved again, but nothing was traded again
                moved[flow.transaction_id] += flow.amount
                numbers.setdefault(flow.transaction_id, flow.number)
        for line in self._lines(account_id):
            if line.day == day:
                failed, amount = line.status is LineStatus.FAILED, net(line.kind, line.received, line.fee)
                traded[line.transaction_id] += 0 if failed else amount
                taken[line.transaction_id] += amount
                numbers[line.transaction_id] = line.number or numbers.get(line.transaction_id, "")
                lasting |= set() if failed else {line.transaction_id}
        return [
            Moved(id_, numbers[id_], traded.get(id_), moved.get(id_))
            for id_ in sorted({*traded, *moved})
            if moved.get(id_) not in (traded.get(id_), taken.get(id_)) and (id_ in moved or id_ in lasting)
        ]

    async def kept_of_closed(self, account_id: str, day: date) -> int:
        await self._transaction.statement("bills.kept_of_closed")
        closed = {
            flow.number: flow.amount
            for flow in self._fund_lines(account_id, day)
            if flow.movement is Movement.REFUND_CLOSED
        }
        refunds = [row for row in self._transaction.rows(self._tables.refunds) if row.account_id == account_id]
        return sum(row.debit.minor - closed[row.number] for row in refunds if row.number in closed)

    async def balances(self, account_id: str, day: date) -> Sequence[FundBalance]:
        await self._transaction.statement("bills.balances")
        funds: dict[str, list[FundLine]] = defaultdict(list)
        for line in self._fund_lines(account_id, day):
            funds[line.fund].append(line)
        return [
            FundBalance(
                fund=fund,
                opening=_closing(lines) - sum(line.amount for line in lines),
                closing=_closing(lines),
                movement=sum(line.amount for line in lines),
                previous_closing=self._previous(account_id, day, fund),
                booked_movement=self._booked(account_id, day, fund),
            )
            for fund, lines in sorted(funds.items())
        ]

    async def strange_movements(self, account_id: str, day: date) -> Sequence[FundLine]:
        await self._transaction.statement("bills.strange_movements")
        return [line for line in self._fund_lines(account_id, day) if line.movement not in _ORDINARY]

    def _previous(self, account_id: str, day: date, fund: str) -> int | None:
        days: dict[date, list[FundLine]] = defaultdict(list)
        for bill in self._transaction.rows(self._tables.bills):
            if bill.account_id == account_id and bill.day < day:
                days[bill.day] += [line for line in bill.lines if isinstance(line, FundLine) and line.fund == fund]
        before = {day: lines for day, lines in days.items() if lines}
        return _closing(before[max(before)]) if before else None

    def _booked(self, account_id: str, day: date, fund: str) -> int:
        def is_it(account: Account) -> bool:
            wanted = (AccountKind.CHANNEL_RECEIVABLE, account_id, fund)
            return (account.kind, account.owner, account.fund) == wanted

        moves = [
            row.transfer for row in self._transaction.rows(self._tables.transfers) if row.transfer.channel_date == day
        ]
        return sum(t.amount.minor * (is_it(t.debit) - is_it(t.credit)) for t in moves)

    def _lines(self, account_id: str) -> Iterator[Line]:
        for bill in self._transaction.rows(self._tables.bills):
            if bill.account_id == account_id:
                yield from (line for line in bill.lines if isinstance(line, Line))

    def _fund_lines(self, account_id: str, day: date) -> list[FundLine]:
        lines = [
            line
            for bill in self._transaction.rows(self._tables.bills)
            if (bill.account_id, bill.day) == (account_id, day)
            for line in bill.lines
            if isinstance(line, FundLine)
        ]
        return sorted(lines, key=lambda line: (line.fund, line.n))

    def _recorded(self) -> list[Ours]:
        payments = [self._payment(payment) for payment in self._transaction.rows(self._tables.payments)]
        refunds = [self._refund(r) for r in self._transaction.rows(self._tables.refunds) if r.accepted_at is not None]
        undone = [
            replace(
                self._payment(p), kind=LineKind.REFUND, fee=-self._cost(p), status=LineStatus.REVERSED, channel_date=day
            )
            for p in self._transaction.rows(self._tables.payments)
            if (day := self._undone_on(p)) is not None
        ]
        return sorted([*payments, *refunds, *undone], key=lambda one: (one.channel_date, one.id))

    def _undone_on(self, payment: ChannelPayment) -> date | None:
        key = f"payment:{payment.account_id}:{payment.transaction_id}:reversed"
        booked = (row.transfer for row in self._transaction.rows(self._tables.transfers))
        return next((transfer.channel_date for transfer in booked if transfer.idem_key == key), None)

    def _payment(self, payment: ChannelPayment) -> Ours:
        return Ours(
            id=payment.id,
            kind=LineKind.PAYMENT,
            number=payment.number,
            transaction_id=payment.transaction_id,
            account_id=payment.account_id,
            received=payment.received,
            fee=self._cost(payment),
            status=LineStatus.SUCCEEDED,
            channel_date=shanghai_day(payment.paid_at),
        )

    def _refund(self, refund: Refund) -> Ours:
        payment = self._transaction.get(self._tables.payments, refund.payment_id)
        account = self._transaction.get(self._tables.accounts, refund.account_id)
        assert payment is not None
        assert account is not None
        assert refund.accepted_at is not None
        place = (refund.accepted_at, refund.id)
        earlier = sum(
            one.debit.minor
            for one in self._transaction.rows(self._tables.refunds)
            if one.payment_id == payment.id and one.accepted_at and (one.accepted_at, one.id) < place
        )
        cost, received = self._cost(payment), payment.received.minor

        def share(of: int) -> int:
            return (2 * cost * of + received) // (2 * received) if received else 0

        own = refund.channel_id or refund.number
        return Ours(
            id=refund.id,
            kind=LineKind.REFUND,
            number=refund.number,
            transaction_id=payment.transaction_id if account.channel is Channel.ALIPAY else own,
            account_id=refund.account_id,
            received=refund.debit,
            fee=share(earlier) - share(earlier + refund.debit.minor),
            status=LineStatus.FAILED if refund.status is RefundStatus.FAILED else LineStatus.SUCCEEDED,
            channel_date=shanghai_day(refund.accepted_at),
        )

    def _cost(self, payment: ChannelPayment) -> int:
        attempt = self._transaction.get(self._tables.attempts, payment.attempt_id)
        account = self._transaction.get(self._tables.accounts, payment.account_id)
        assert account is not None
        rate = attempt.terms.cost_rate if attempt else account.cost_rate
        return rate.of(payment.received).minor

    # ── Discrepancies ────────────────────────────────────────────────────────────────────────────────────────────────

    async def discrepancies(self, account_id: str, day: date) -> Sequence[Discrepancy]:
        await self._transaction.statement("bills.discrepancies")
        of_day = [
            row
            for row in self._transaction.rows(self._tables.discrepancies)
            if (row.account_id, row.day) == (account_id, day)
        ]
        return sorted(of_day, key=lambda row: row.key)

    async def discrepancy(self, discrepancy_id: str) -> Discrepancy:
        await self._transaction.statement("bills.discrepancy")
        return _there(self._transaction.get(self._tables.discrepancies, discrepancy_id))

    async def lock_discrepancy(self, discrepancy_id: str) -> Discrepancy:
        await self._transaction.statement("bills.lock_discrepancy")
        row = await self._transaction.lock(self._tables.discrepancies, discrepancy_id)
        return _there(row)

    async def sides(self, discrepancy: Discrepancy) -> Sides:
        await self._transaction.statement("bills.sides")
        account_id, day, id_ = discrepancy.account_id, discrepancy.day, discrepancy.transaction_id
        moved = [flow for flow in self._fund_lines(account_id, day) if id_ and flow.transaction_id == id_]
        keys = {discrepancy.number, id_, *(flow.number for flow in moved)} - {""}
        theirs = [line for line in self._lines(account_id) if _key(line) in keys and _near(line.day, day)]
        theirs.sort(key=lambda line: (line.day, line.n))
        return Sides(theirs, moved, self._ours_near(account_id, day, keys))

    async def add_discrepancy(self, discrepancy: Discrepancy) -> None:
        await self._transaction.statement("bills.add_discrepancy")
        await self._transaction.insert(self._tables.discrepancies, discrepancy)

    async def save_discrepancy(self, discrepancy: Discrepancy) -> None:
        await self._transaction.statement("bills.save_discrepancy")
        await self._transaction.update(self._tables.discrepancies, discrepancy)


def _there(row: T | None) -> T:
    if row is None:
        raise NotFound("no such row")
    return row


def _key(one: Line | Ours) -> str:
    return one.number or one.transaction_id


def _ours_by_scheme(line: Line) -> bool:
    return line.number.startswith(PREFIX) or line.payment_number.startswith(PREFIX)


def _of_line(line: Line) -> tuple[object, ...]:
    return (line.kind, _key(line), line.transaction_id, line.received, line.fee, line.status)


def _of_ours(one: Ours) -> tuple[object, ...]:
    return (one.kind, _key(one), one.transaction_id, one.received, one.fee, one.status)


def _near(one: date, other: date) -> bool:
    return abs(one - other) <= _NEIGHBOURS


def _closing(lines: Sequence[FundLine]) -> int:
    """What the newest line says, whichever way the bill runs."""
    pairs = list(itertools.pairwise(lines))
    falling = sum(lower.balance == upper.balance - upper.amount for upper, lower in pairs)
    rising = sum(lower.balance - lower.amount == upper.balance for upper, lower in pairs)
    newest_first = falling > rising if falling != rising else lines[0].at > lines[-1].at
    return lines[0 if newest_first else -1].balance
