"""One day of one channel account: what its bills say against what we recorded and booked."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from application.confirm_payout import ConfirmPayout
from application.crashpoints import crashpoint
from application.payout_lines import own_charges, own_payouts
from application.ports.bills import Compared, FundBalance, Moved
from application.ports.progress import Progress, Step
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.progress import told
from domain.actors import SYSTEM
from domain.bookkeeping import BASIC
from domain.channels import ChannelAccount, FundMode
from domain.errors import NotFound
from domain.reconciliation import (
    HOLD_DAYS,
    Difference,
    DifferenceKind,
    Discrepancy,
    Finding,
    classify,
    foreign,
    keyed,
    net,
)
from domain.statement_postings import Books
from domain.statements import DayStatus, FundLine, Line, LineStatus, Movement, StatementDay

# How often a day with lines that wait for a neighbour's bill is looked at again.
HELD_AGAIN = timedelta(hours=1)
TOLD = 100  # differences that came or went are written down by key; more of them are only counted
OPENING = ":opening"  # ends the key of a balance that does not follow from the bill before
_BANK = frozenset({Movement.PAYOUT, Movement.TOP_UP})
# Shares are booked when they end, in the platform's account its own part of them; what is not shows in the balance.
_EXPLAINED = _BANK | {Movement.SHARED, Movement.SHARE_RETURNED}


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Match, book what only the bills know, keep the differences: in one transaction, under the day's lock.

    May be repeated any number of times with the same result. Four ways (DESIGN, issue "Reconciliation"): records and
    trade bill; trade bill and fund bill; fund bill and ledger; ledger and records, which is what the first posts.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    progress: Progress
    hold_days: int = HOLD_DAYS

    async def __call__(self, account_id: str, day: date) -> StatementDay:
        step = Step()
        async with told(self.progress, account_id, day, lambda: step), self.unit_of_work() as uow:
            standing = await uow.bills.lock_day(account_id, day)
            if standing.closed or not standing.read:
                return standing
            account = (await uow.accounts.access(account_id)).account
            result = await self._compare(uow, account, standing)
            step = Step(matched=result.matched)
            kept = await self._keep(uow, standing, result.differences)
            after = replace(standing, held=0).compared(
                matched=result.matched,
                differences=kept.live,
                held=result.held,
                foreign=result.foreign,
                note=await self._changed(uow, standing, result, kept),
            )
            if after.held:
                again = self.clock.now() + HELD_AGAIN
                after = replace(after, next_at=min(after.next_at or again, again))
            await uow.bills.save_day(after)
            crashpoint("reconcile.before_commit")
        crashpoint("reconcile.after_commit")
        return after

    async def _compare(self, uow: UnitOfWork, account: ChannelAccount, standing: StatementDay) -> "Result":
        direct = account.fund_mode is FundMode.DIRECT
        compared = await uow.bills.compare(account.id, standing.day, ours_only=direct)
        spans = await uow.bills.spans(account.id)
        newest = max((span.last_read or standing.day for span in spans), default=standing.day)
        found = _judge(compared, account.id, standing.day, today=newest, hold_days=self.hold_days, direct=direct)
        books = Books(account, standing.day)
        kept = await uow.bills.kept_of_closed(account.id, standing.day)
        await self._post_costs(uow, books, compared.fee - compared.fee_returned + kept)
        differences = [finding.difference for finding in found.findings if not finding.held]
        if standing.has_fund_bill and not direct:
            differences += await self._compare_funds(uow, books, found)
        held = sum(1 for finding in found.findings if finding.held)
        openings = [one for one in differences if one.key.endswith(OPENING)]
        if openings and await self._awaited(uow, account.id, standing.day - timedelta(days=1)):
            differences = [one for one in differences if one not in openings]
            held += len(openings)
        return Result(compared.matched + found.equal, compared.foreign + found.foreign, held, differences)

    async def _awaited(self, uow: UnitOfWork, account_id: str, day: date) -> bool:
        """Whether this day's fund bill is still to come: what the next one opens with cannot be judged before."""
        try:
            before = await uow.bills.day(account_id, day)
        except NotFound:
            return False
        return before.next_at is not None and not before.has_fund_bill

    async def _post_costs(self, uow: UnitOfWork, books: Books, charged: int) -> None:
        before = [t for t in await uow.ledger.about(books.about) if t.fact == "channel_cost"]
        steps = (t.amount.minor if books.holds(t.credit) else -t.amount.minor for t in before)
        await uow.ledger.post(books.cost(charged, posted=sum(steps), n=len(before)))

    async def _compare_funds(self, uow: UnitOfWork, books: Books, found: "Judged") -> list[Difference]:
        account_id, day = books.account.id, books.day
        moved_oddly = await uow.bills.strange_movements(account_id, day)
        strange, ahead = await own_payouts(uow, books, moved_oddly, ConfirmPayout(self.clock))
        for line in strange:
            if line.movement in _BANK:
                await uow.ledger.post(books.bank_payout(line.flow_id, line.amount))
        moved = await own_charges(uow, books, await uow.bills.compare_funds(account_id, day))
        differences = [_moved(one) for one in moved]
        differences += [_strange(line) for line in strange if line.movement not in _EXPLAINED]
        explained = found.effect + sum(difference.amount for difference in differences)
        for balance in await uow.bills.balances(account_id, day):
            await self._open(uow, books, balance)
            # What the findings of the day account for is no difference of its own.
            explained_here = explained if balance.fund == BASIC else 0
            differences += _balance(balance, explained_here + ahead.get(balance.fund, 0))
        return differences

    async def _open(self, uow: UnitOfWork, books: Books, balance: FundBalance) -> None:
        """The first fund bill says what the account held before we knew it."""
        if balance.previous_closing is not None or balance.opening <= 0:
            return
        if all(span.first_money >= books.day for span in await uow.bills.spans(books.account.id)):
            before = Books(books.account, books.day - timedelta(days=1))
            await uow.ledger.post(before.opening(balance.fund, balance.opening))

    async def _changed(self, uow: UnitOfWork, standing: StatementDay, result: "Result", kept: "Kept") -> str:
        """What another bill has made of a day that was closed: written down, and in a sentence."""
        if standing.status is not DayStatus.REOPENED:
            return ""
        before = {"matched": standing.matched, "differences": standing.differences}
        some = {"came": kept.came[:TOLD], "gone": kept.gone[:TOLD]}
        after = {"matched": result.matched, "differences": kept.live, **some}
        place = f"{standing.account_id}:{standing.day}"
        id_, now = self.ids.new("aud"), self.clock.now()
        await uow.audit.add(SYSTEM.did("statement_day.reopened", place, id=id_, at=now, before=before, after=after))
        return (
            f"reopened by another bill: {result.matched} lines agree ({standing.matched} before), "
            f"differences: {len(kept.came)} came, {len(kept.gone)} went"
        )

    async def _keep(self, uow: UnitOfWork, day: StatementDay, differences: Sequence[Difference]) -> "Kept":
        """New ones are opened, known ones stay as they are, and what is no longer found vanishes."""
        now = self.clock.now()
        standing = {each.key: each for each in await uow.bills.discrepancies(day.account_id, day.day)}
        seen, kept = Counter[str](), Kept()
        for one in sorted(differences, key=lambda difference: difference.line_n or 0):
            seen[one.key] += 1  # a line that is there three times is two differences
            found = one if seen[one.key] == 1 else replace(one, key=f"{one.key}#{seen[one.key]}")
            known = standing.pop(found.key, None)
            if known is None:
                known = Discrepancy.of(
                    found, id=self.ids.new("dis"), account_id=day.account_id, mode=day.mode, day=day.day, now=now
                )
                await uow.bills.add_discrepancy(known)
                kept.came.append(known.key)
            elif (again := known.found_again(found)) != known:
                await uow.bills.save_discrepancy(again)
                if not known.live:
                    kept.came.append(known.key)
                known = again
            kept.live += known.live
        for gone in standing.values():
            if gone.live:
                await uow.bills.save_discrepancy(gone.vanished(now))
                kept.gone.append(gone.key)
        return kept


@dataclass
class Kept:
    """How many differences are open, and the keys of those that this run has brought and taken."""

    live: int = 0
    came: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    matched: int
    foreign: int
    held: int
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Judged:
    """The findings of a day; how many pairs turned out equal over midnight; and by how much, because of all of it, the
    account at the channel moved more on that day than our books say."""

    findings: Sequence[Finding]
    equal: int
    foreign: int
    effect: int


def _judge(compared: Compared, account_id: str, day: date, *, today: date, hold_days: int, direct: bool) -> Judged:
    findings: list[Finding] = []
    equal = strangers = effect = 0
    lines = [line for line in compared.lines if not (direct and foreign(line))]
    strangers = sum(1 for line in compared.lines if line.day == day) - sum(1 for line in lines if line.day == day)
    for _, theirs, ours in keyed(lines, compared.ours):
        found = list(classify(theirs, ours, account_id=account_id, today=today, hold_days=hold_days))
        findings += [finding for finding in found if finding.day == day]
        told = {finding.line.n for finding in found if finding.line and finding.day == day}
        equal += sum(1 for line in theirs if line.day == day and line.n not in told)
        effect += sum(_moves(line) for line in theirs if line.day == day)
        here = [one for one in ours if one.channel_date == day and one.account_id == account_id]
        # What was given up and is on no bill did not move there, and our books have it out and in again.
        effect -= sum(net(one.kind, one.received, 0) for one in here if theirs or one.status is not LineStatus.FAILED)
    return Judged(findings, equal, strangers, effect)


def _moves(line: Line) -> int:
    return 0 if line.status is LineStatus.FAILED else net(line.kind, line.received, 0)


def _moved(one: Moved) -> Difference:
    kind = DifferenceKind.UNTRADED if one.traded is None else DifferenceKind.UNMOVED
    return Difference(
        key=f"{kind}:{one.transaction_id}",
        kind=kind,
        amount=(one.moved or 0) - (one.traded or 0),
        number=one.number,
        transaction_id=one.transaction_id,
    )


def _strange(line: FundLine) -> Difference:
    return Difference(
        key=f"{DifferenceKind.UNTRADED}:{line.fund}:{line.flow_id}",
        kind=DifferenceKind.UNTRADED,
        amount=line.amount,
        number=line.number,
        transaction_id=line.transaction_id,
        line_n=line.n,
    )


def _balance(balance: FundBalance, explained: int) -> Iterator[Difference]:
    unexplained = balance.movement - balance.booked_movement - explained
    if unexplained:
        yield Difference(key=f"balance:{balance.fund}", kind=DifferenceKind.BALANCE, amount=unexplained)
    if balance.previous_closing is not None and balance.previous_closing != balance.opening:
        yield Difference(
            key=f"balance:{balance.fund}{OPENING}",
            kind=DifferenceKind.BALANCE,
            amount=balance.opening - balance.previous_closing,
        )
