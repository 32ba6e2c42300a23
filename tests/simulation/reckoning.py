"""What the days after a sale must have come to: every fen accounted for, by those who have it, too."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from application.resolve_discrepancy import CLOSE_DAY
from domain.account_entries import EntryKind
from domain.channels import FundMode
from domain.invoices import SETTLING, InvoiceStatus, last_day, last_month
from domain.ledger import Account, AccountKind, Transfer
from domain.money import Money
from domain.payments import SuspenseStatus
from domain.payouts import PayoutReport, PayoutState
from domain.proposals import ProposalStatus
from domain.settlement_postings import CREATED
from domain.settlements import SettlementStatus
from tests.fakes.rows import TransferRow
from tests.simulation.afterwards import Afterwards
from tests.simulation.payees import Payees
from tests.simulation.world import World

_K, _S = AccountKind, SettlementStatus
_HAS = frozenset(
    {
        _K.MERCHANT_PENDING,
        _K.MERCHANT_AVAILABLE,
        _K.MERCHANT_FROZEN,
        _K.MERCHANT_REFUNDING,
        _K.MERCHANT_SETTLING,
        _K.MERCHANT_DEBT,
    }
)
_AT_REST = (_K.MERCHANT_REFUNDING, _K.MERCHANT_SETTLING)
_ENDED = {
    PayoutState.PAID: _S.PAID,
    PayoutState.FAILED: _S.FAILED,
    PayoutState.CANCELLED: _S.CANCELLED,
    PayoutState.BOUNCED: _S.BOUNCED,
}
_ADDS = ("released", "topped_up", "adjusted")  # what makes money available that has to repay a debt first


async def reckoned(world: World, after: Afterwards) -> list[str]:
    """All complaints that the promises' checkers (M5 to M12, R3) cannot make: they see our books alone."""
    payees, balances = after.payees, _balances(world)
    found = [
        *_payouts(world, payees),
        *_ends(world, balances),
        *_released_in_time(world),
        *_debts_come_first(world),
        *_merchants(world, balances),
        *_cash(world, payees, balances),
        *_entries(world),
        *(_invoices(world) if after.a_month_ended else ()),
    ]
    proved = await world.house.treasury.prove_days()
    world.counts["closed days"] += proved.days
    found += [f"a closed day cannot be proved: {finding}" for finding in proved.findings]
    async with world.database.unit_of_work() as uow:
        for account, balance in balances.items():
            if (read := await uow.ledger.balance(account)) != balance:
                found.append(f"{account} reads {read}, and its rows come to {balance}")
    return found


def _payouts(world: World, payees: Payees) -> Iterator[str]:
    """One payout a settlement, whatever happened, and the settlement ends as it did."""
    settlements = {each.number: each for each in world.database.tables.settlements.committed.values()}
    for number, state, amount in _made(world, payees):
        standing = settlements.get(number)
        if standing is None:
            yield f"paid out, and no settlement's: {number} {amount}"
        elif amount != standing.payout or _ENDED.get(state) is not standing.status:
            yield f"a payout of {amount} that is {state} where it was made: {standing}"
    made = {number for number, _, _ in _made(world, payees)}
    for each in settlements.values():
        world.counts[f"settlement {each.status}"] += 1
        if each.status in (_S.PAID, _S.BOUNCED) and each.number not in made:
            yield f"paid out in our books alone: {each}"


def _made(world: World, payees: Payees) -> Iterator[tuple[str, PayoutState, Money]]:
    for number, state in payees.bank.items():
        yield number, state, payees.amounts[number]
    for report in _reports(world):
        assert report.amount is not None
        yield report.number, report.state, report.amount


def _reports(world: World) -> Iterator[PayoutReport]:
    for channel in world.house.channels.values():
        yield from channel.payouts.reports()


def _ends(world: World, balances: Counter[Account]) -> Iterator[str]:
    """Nothing is left on its way, and what is released is what there was."""
    for each in world.database.tables.settlements.committed.values():
        if each.status not in (*_ENDED.values(), _S.REJECTED):
            yield f"a settlement without an end: {each}"
    for account, balance in balances.items():
        if balance and account.kind in _AT_REST:
            yield f"left on its way: {account} {balance}"
    for release in world.database.tables.releases.committed.values():
        world.counts["released"] += release.times
        if release.next_at is not None:
            yield f"never released: {release}"
    for payment in world.database.tables.payments.committed.values():
        settled = payment.fund_mode is FundMode.COLLECT and payment.unattributed is None
        if settled and payment.id not in world.database.tables.releases.committed:
            yield f"never scheduled to be released: {payment}"


def _released_in_time(world: World) -> Iterator[str]:
    """By the audit: whoever closed a day did so before anything of it was released, and not alone in spite of a
    difference."""
    tables = world.database.tables
    closed: dict[str, datetime] = {}
    for row in tables.audit.committed.values():
        if row.record.action == "statement_day.closed":
            closed[row.record.object_id] = min(closed.get(row.record.object_id, row.record.at), row.record.at)
    for transfer in tables.transfers.committed.values():
        if transfer.transfer.fact == "released":
            release = tables.releases.committed[transfer.transfer.about]
            at = closed.get(f"{release.account_id}:{release.day}")
            if at is None or at > transfer.created_at:
                yield f"released at {transfer.created_at}, and its day was closed at {at}: {release}"
    approved = {
        f"{each.payload['account_id']}:{each.payload['day']}"
        for each in tables.proposals.committed.values()
        if each.action == CLOSE_DAY and each.status is ProposalStatus.EXECUTED
    }
    for each in tables.discrepancies.committed.values():
        day = f"{each.account_id}:{each.day}"
        world.counts[f"difference {each.status}"] += 1
        if day not in closed:
            yield f"never closed: {day}"
        elif day not in approved and (each.resolved_at is None or each.resolved_at > closed[day]):
            yield f"closed by one person alone, in spite of {each}"


def _debts_come_first(world: World) -> Iterator[str]:
    """Unit by unit, as the guard of the available money let them through: what becomes available to a merchant while
    it owes something repays that, and nothing is settled before."""
    by_merchant: dict[str, list[TransferRow]] = defaultdict(list)
    for row in sorted(world.database.tables.transfers.committed.values(), key=lambda row: row.row):
        owner, debt = _whose(row.transfer)
        if owner and (debt or row.transfer.fact in (*_ADDS, CREATED)):  # the rest needs no guard
            by_merchant[owner].append(row)
    for merchant_id, rows in by_merchant.items():
        owed = 0
        for _, unit in groupby(rows, key=lambda row: row.xid):
            transfers, before = [row.transfer for row in unit], owed
            owed += sum(_moved(each, _K.MERCHANT_DEBT, merchant_id) for each in transfers)
            added = -sum(_moved(each, _K.MERCHANT_AVAILABLE, merchant_id) for each in transfers if each.fact in _ADDS)
            if added > 0 and owed != max(before - added, 0):
                yield f"{added} became available to {merchant_id}, and {owed} of {before} is owed still"
            if owed and any(each.fact == CREATED for each in transfers):
                yield f"settled although {owed} is owed: {merchant_id}"


def _whose(transfer: Transfer) -> tuple[str, bool]:
    """The merchant whose available money or debt it moves, and whether it is the debt."""
    ends = {end.kind: end.owner for end in (transfer.debit, transfer.credit)}
    owner = ends.get(_K.MERCHANT_DEBT) or ends.get(_K.MERCHANT_AVAILABLE, "")
    return owner, _K.MERCHANT_DEBT in ends


def _moved(transfer: Transfer, kind: AccountKind, owner: str) -> int:
    """Debits minus credits, so that what is owed grows."""
    debit, credit = ((end.kind, end.owner) == (kind, owner) for end in (transfer.debit, transfer.credit))
    return transfer.amount.minor * (debit - credit)


def _merchants(world: World, balances: Counter[Account]) -> Iterator[str]:
    """What came in for a merchant, less what went out, is what it has with us."""
    has: Counter[str] = Counter()
    for account, balance in balances.items():
        has[account.owner] += balance if account.kind in _HAS else 0
    due = _due(world)
    for merchant_id in sorted(set(has) | set(due)):
        if has[merchant_id] != due[merchant_id]:
            yield f"{merchant_id} has {has[merchant_id]}, and {due[merchant_id]} is its own"


def _due(world: World) -> Counter[str]:
    tables, due = world.database.tables, Counter[str]()
    items = {item.payment_id: item for item in tables.suspense.committed.values()}
    for payment in tables.payments.committed.values():
        item = items.get(payment.id)
        if payment.fund_mode is FundMode.DIRECT:
            continue
        if payment.unattributed is None and payment.merchant_id is not None:
            due[payment.merchant_id] += payment.received.minor - payment.fee.minor
        elif item is not None and item.status is SuspenseStatus.ATTRIBUTED and item.order_id is not None:
            order = tables.orders.committed[item.order_id].order
            due[order.merchant_id] += payment.received.minor - item.fee.minor
    for refund in tables.refunds.committed.values():
        if refund.fund_mode is FundMode.COLLECT and refund.item_id is None and not refund.void:
            due[refund.merchant_id] -= refund.debit.minor - refund.share.minor
    for entry in tables.entries.committed.values():
        if entry.merchant_id is not None:
            sign = {EntryKind.TOP_UP: 1, EntryKind.CREDIT: 1, EntryKind.DEBIT: -1}.get(entry.kind, 0)
            due[entry.merchant_id] += sign * entry.amount.minor
    for each in tables.settlements.committed.values():
        due[each.merchant_id] -= {_S.PAID: each.amount.minor, _S.BOUNCED: each.fee.minor}.get(each.status, 0)
    return due


def _cash(world: World, payees: Payees, balances: Counter[Account]) -> Iterator[str]:
    """What payees have is what has left the bank and the channels for them."""
    tables = world.database.tables
    left: Counter[str] = Counter()
    for transfer in (row.transfer for row in tables.transfers.committed.values()):
        if transfer.fact in ("payout_done", "payout_bounced"):
            for end, sign in ((transfer.credit, 1), (transfer.debit, -1)):
                left["channels"] += sign * transfer.amount.minor if end.kind is _K.CHANNEL_RECEIVABLE else 0
    if left["channels"] != (paid := sum(channel.payouts.paid() for channel in world.house.channels.values())):
        yield f"{paid} was paid out by the channels, and {left['channels']} of it is booked"
    came = sum(entry.amount.minor for entry in tables.entries.committed.values() if entry.bank_reference)
    came -= sum(payees.amounts[number].minor for number, state in payees.bank.items() if state is PayoutState.PAID)
    came += sum(each.amount.minor for each in tables.invoices.committed.values() if each.status is InvoiceStatus.PAID)
    there = -sum(balance for account, balance in balances.items() if account.kind is _K.BANK)
    if there != came:
        yield f"the bank has {came}, and {there} is booked"


def _entries(world: World) -> Iterator[str]:
    """One entry an approved proposal, and none without."""
    tables = world.database.tables
    approved = Counter(
        str(each.result["entry_id"])
        for each in tables.proposals.committed.values()
        if each.status is ProposalStatus.EXECUTED and "entry_id" in each.result
    )
    alone = (EntryKind.FREEZE, EntryKind.UNFREEZE)
    booked = Counter(each.id for each in tables.entries.committed.values() if each.kind not in alone)
    world.counts["entries"] += len(tables.entries.committed)
    if approved != booked:
        yield f"approved {sorted(approved)}, and booked {sorted(booked)}"


def _invoices(world: World) -> Iterator[str]:
    """What was due by the end of the month is invoiced once, and came or was written off."""
    tables = world.database.tables
    month, due = last_month(world.clock.now()), Counter[str]()
    invoiced = Counter({each.merchant_id: each.amount.minor for each in tables.invoices.committed.values()})
    for each in tables.invoices.committed.values():
        world.counts[f"invoice {each.status}"] += 1
        if each.status is InvoiceStatus.ISSUED:
            yield f"an invoice without an end: {each}"
    for transfer in (row.transfer for row in tables.transfers.committed.values()):
        if transfer.channel_date <= last_day(month) and transfer.fact not in SETTLING:
            for end in (transfer.debit, transfer.credit):
                if end.kind is _K.SERVICE_FEE_DUE:
                    due[end.owner] += _moved(transfer, end.kind, end.owner)
    if +due != invoiced or len(tables.invoices.committed) != len(invoiced):
        yield f"{dict(due)} was due, and {dict(invoiced)} is invoiced"


def _balances(world: World) -> Counter[Account]:
    """Credits minus debits of every account, from its rows."""
    sums: Counter[Account] = Counter()
    for row in world.database.tables.transfers.committed.values():
        sums[row.transfer.credit] += row.transfer.amount.minor
        sums[row.transfer.debit] -= row.transfer.amount.minor
    return sums
