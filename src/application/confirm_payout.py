"""A rail has said what became of a payout: take its word into the books."""

from dataclasses import dataclass

from application.confirm_attempt import Confirmation, Outcome
from application.ports.storage import UnitOfWork
from application.ports.world import Clock
from domain.channels import Access
from domain.payouts import PayoutReport, PayoutState
from domain.settlement_postings import payout_bounced, payout_done, settlement_returned
from domain.settlements import Settlement, SettlementStatus

_S = SettlementStatus
_OPEN = frozenset({_S.PAYING, _S.AWAITING_PAYEE})


@dataclass(frozen=True, slots=True)
class ConfirmPayout:
    """Move the settlement and the books: together or not at all.

    Runs inside the caller's unit of work, beside the evidence. Equal reports, from answers, notices, queries and
    people in any order, count once: the settlement's row makes them queue. What contradicts an end that is in the
    books, or another amount, is a mismatch for a person; nothing is booked for it.
    """

    clock: Clock

    async def __call__(self, uow: UnitOfWork, access: Access, report: PayoutReport) -> Confirmation:
        """A channel's word. A number that is no settlement's of this account concerns nobody."""
        known = await uow.settlements.numbered(report.number)
        if known is None or known.source is None or known.source.owner != access.account.id:
            return Confirmation(Outcome.NOTHING)
        return await self.take(uow, await uow.settlements.lock(known.id), report)

    async def take(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        """The same for a settlement that is locked."""
        if report.amount not in (None, standing.payout):
            return Confirmation(Outcome.MISMATCH)
        match report.state:
            case PayoutState.AWAITING_PAYEE:
                return await self._awaiting(uow, standing, report)
            case PayoutState.PAID:
                return await self._paid(uow, standing, report)
            case PayoutState.FAILED | PayoutState.CANCELLED:
                return await self._returned(uow, standing, report)
            case PayoutState.BOUNCED:
                return await self._bounced(uow, standing, report)
            case _:
                return Confirmation(Outcome.KNOWN)

    async def _awaiting(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        news = standing.status is _S.PAYING or (
            standing.status is _S.AWAITING_PAYEE and report.confirmation not in (None, standing.confirmation)
        )
        if not news:
            return Confirmation(Outcome.KNOWN)
        now = self.clock.now()
        waits = standing.awaiting_payee(now, reference=report.channel_id, confirmation=report.confirmation)
        await uow.settlements.save(waits)
        return Confirmation(Outcome.PAYOUT)

    async def _paid(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        if standing.status not in _OPEN:
            return Confirmation(Outcome.KNOWN if standing.status is _S.PAID else Outcome.MISMATCH)
        await self._pay(uow, standing, report)
        return Confirmation(Outcome.PAYOUT)

    async def _returned(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        if standing.status not in _OPEN:
            ended = standing.status in (_S.FAILED, _S.CANCELLED)
            return Confirmation(Outcome.KNOWN if ended else Outcome.MISMATCH)
        now, reason = self.clock.now(), report.detail or str(report.state)
        cancelled = report.state is PayoutState.CANCELLED
        returned = standing.cancelled(reason, now) if cancelled else standing.failed(reason, now)
        await uow.ledger.post(settlement_returned(returned, now))
        await uow.settlements.save(returned)
        return Confirmation(Outcome.PAYOUT)

    async def _bounced(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        if standing.status in _OPEN:  # it was paid before it came back, and we have heard of neither
            standing = await self._pay(uow, standing, report)
        if standing.status is not _S.PAID:
            return Confirmation(Outcome.KNOWN if standing.status is _S.BOUNCED else Outcome.MISMATCH)
        now = self.clock.now()
        bounced = standing.bounced(report.detail or "bounced", now)
        await uow.ledger.post(payout_bounced(bounced, report.at or now))
        await uow.settlements.save(bounced)
        return Confirmation(Outcome.PAYOUT)

    async def _pay(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Settlement:
        now = self.clock.now()
        paid = standing.paid(now, at=report.at or now, reference=report.channel_id, charge=report.charge)
        await uow.ledger.post(payout_done(paid, report.debited_at))
        await uow.settlements.save(paid)
        return await uow.settlements.get(paid.id)
