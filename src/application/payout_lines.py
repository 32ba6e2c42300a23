"""Lines of our own payouts in a channel's fund bill: no differences, whatever their day has seen of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from application.confirm_payout import ConfirmPayout
from application.ports.bills import Moved
from application.ports.storage import UnitOfWork
from domain.payouts import PayoutReport, PayoutState
from domain.settlements import SettlementStatus
from domain.statement_postings import Books
from domain.statements import FundLine

# What a bill's line shows; the rail's charge for it is another line.
_SHOWN = (":paid", ":bounced")


async def own_payouts(
    uow: UnitOfWork, books: Books, lines: Sequence[FundLine], confirm: ConfirmPayout
) -> tuple[Sequence[FundLine], Mapping[str, int]]:
    """The lines that are of no payout of ours; and by fund how much more it moved on this day, by lines of our
    payouts, than is booked of them.

    WeChat Pay debits the account when it takes a transfer, and gives it back when nobody confirms: until the end is
    known nothing is booked, and of one that came to nothing nothing ever is. One that was paid and is there again has
    bounced (退票): nobody else tells us, so the bill's word is booked.
    """
    others, ahead, ours = list[FundLine](), Counter[str](), dict[str, str]()
    for line in lines:
        standing = await uow.settlements.numbered(line.number) if line.number else None
        source = standing.source if standing else None
        if standing is None or source is None or (source.owner, source.fund) != (books.account.id, line.fund):
            others.append(line)
            continue
        if standing.status is SettlementStatus.PAID and line.amount == standing.payout.minor:
            back = PayoutReport(number=standing.number, state=PayoutState.BOUNCED, at=line.at, detail=line.words)
            await confirm.take(uow, await uow.settlements.lock(standing.id), back)
        ahead[line.fund] += line.amount
        ours[standing.id] = line.fund
    for id_, fund in ours.items():
        ahead[fund] -= await _booked(uow, books, id_, fund)
    return others, ahead


async def own_charges(uow: UnitOfWork, books: Books, moved: Sequence[Moved]) -> Sequence[Moved]:
    """What moved, without what a rail charged for payouts of ours as it is booked: of those only by how much the bill
    has it otherwise. Such a line bears the payout's number, and no trade bill knows it."""
    left = list[Moved]()
    for one in moved:
        standing = await uow.settlements.numbered(one.number) if one.traded is None and one.number else None
        source = standing.source if standing else None
        if standing is not None and source is not None and source.owner == books.account.id:
            more = (one.moved or 0) - await _booked(uow, books, standing.id, source.fund, (":charge",))
            left += [replace(one, moved=more)] if more else []
        else:
            left.append(one)
    return left


async def _booked(uow: UnitOfWork, books: Books, settlement_id: str, fund: str, shown: tuple[str, ...] = _SHOWN) -> int:
    """What is booked of this payout on this day, as a bill would show it."""
    receivable = books.receivable(fund)
    return sum(
        transfer.amount.minor if transfer.debit == receivable else -transfer.amount.minor
        for transfer in await uow.ledger.about(settlement_id)
        if transfer.channel_date == books.day and transfer.idem_key.endswith(shown)
        if receivable in (transfer.debit, transfer.credit)
    )
