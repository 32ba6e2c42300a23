"""A person decides what a difference means; another approves; what follows is posted, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from application.close_statement_day import CloseStatementDay
from application.confirm_attempt import ConfirmAttempt
from application.confirm_refund import ConfirmRefund
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from domain.actors import Actor
from domain.channels import Access, ChannelReport, ChannelState, FundMode, Receipt, RefundReport, RefundState
from domain.errors import Conflict
from domain.payments import Unattributed
from domain.proposals import Proposal
from domain.reconciliation import REMEDIES, DifferenceKind, Discrepancy, Remedy
from domain.statement_postings import Books
from domain.statements import Line, LineKind, LineStatus

RESOLVE = "discrepancy.resolve"
CLOSE_DAY = "statement_day.close"
APPROVE = "reconciliation.approve"

_POSTED = frozenset({Remedy.ACCEPT_CHANNEL, Remedy.WRITE_OFF})
# A payment that we lost: it pays its order if it can, or is held as this.
_CONFIRMED = {
    Remedy.CONFIRM_PAYMENT: None,
    Remedy.BOOK_TO_SUSPENSE: Unattributed.UNKNOWN_NUMBER,
    Remedy.REFUND: Unattributed.LATE,
}


@dataclass(frozen=True, slots=True)
class ProposeRemedy:
    """Propose a remedy for a discrepancy, or to close a day in spite of open ones. Nothing is posted yet.

    Raises Conflict("remedy_unfit") for one that makes no sense there, Conflict("discrepancy_settled") for what is
    open no longer.
    """

    unit_of_work: UnitOfWorkFactory
    propose: Propose

    async def __call__(self, actor: Actor, discrepancy_id: str, remedy: Remedy, note: str) -> Proposal:
        async with self.unit_of_work() as uow:
            standing = _open(await uow.bills.discrepancy(discrepancy_id))
            if remedy not in REMEDIES[standing.kind]:
                raise Conflict(f"{remedy} is no remedy for {standing.kind}", code="remedy_unfit", pointer="/remedy")
            return await self.propose.within(
                uow,
                actor,
                RESOLVE,
                {"discrepancy_id": standing.id, "remedy": str(remedy), "note": note},
                summary=f"{remedy}: {standing.kind} of {standing.number or standing.key} on {standing.day}",
                permission=APPROVE,
            )

    async def close_day(self, actor: Actor, account_id: str, day: date, note: str) -> Proposal:
        async with self.unit_of_work() as uow:
            await uow.bills.day(account_id, day)
            return await self.propose.within(
                uow,
                actor,
                CLOSE_DAY,
                {"account_id": account_id, "day": str(day), "note": note},
                summary=f"close {day} of {account_id} with open differences",
                permission=APPROVE,
            )


@dataclass(frozen=True, slots=True)
class ResolveDiscrepancy:
    """The executors behind those proposals. Each runs in the unit of work that approves, and once."""

    confirm: ConfirmAttempt
    confirm_refund: ConfirmRefund
    close: CloseStatementDay
    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        remedy, note = Remedy(proposal.payload["remedy"]), str(proposal.payload["note"])
        standing = _open(await uow.bills.lock_discrepancy(str(proposal.payload["discrepancy_id"])))
        access = await uow.accounts.access(standing.account_id)
        result: dict[str, Any] = {"remedy": str(remedy)}
        if remedy in _POSTED and standing.kind is not DifferenceKind.FEE:
            result["posted"] = await self._post(uow, access, standing)
        elif remedy in _CONFIRMED:
            result["outcome"] = await self._confirm(uow, access, standing, _CONFIRMED[remedy])
        elif remedy is Remedy.RECORD_REFUND:
            result["outcome"] = await self._refunded(uow, access, standing)
        resolved = standing.resolved(remedy, by=actor.person, note=note, now=self.clock.now())
        await uow.bills.save_discrepancy(resolved)
        await uow.audit.add(
            actor.did(
                "discrepancy.resolved",
                standing.id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                before={"status": str(standing.status)},
                after={"status": str(resolved.status), "note": note, **result},
            )
        )
        return result

    async def close_day(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        day = date.fromisoformat(str(proposal.payload["day"]))
        closed = await self.close.within(uow, actor, str(proposal.payload["account_id"]), day, approved=True)
        return {"status": str(closed.status)}

    async def _post(self, uow: UnitOfWork, access: Access, standing: Discrepancy) -> int:
        """The platform bears or takes it. In a merchant's own account there is nothing of ours to post."""
        if access.account.fund_mode is FundMode.DIRECT:
            return 0
        await uow.ledger.post(Books(access.account, standing.day).adjusted(standing.key, standing.amount))
        return standing.amount

    async def _confirm(self, uow: UnitOfWork, access: Access, standing: Discrepancy, aside: Unattributed | None) -> str:
        """The bill's line is the channel's word: recorded as a money fact, it pays its order or goes to suspense."""
        line = await self._line(uow, standing)
        if line.kind is not LineKind.PAYMENT:
            raise Conflict("this line is no payment", code="remedy_unfit")
        receipt = Receipt(
            number=line.number,
            transaction_id=line.transaction_id,
            total=line.total,
            received=line.received,
            payer_paid=line.received,
            paid_at=line.at,
            app_id=access.credential.app_id,
            payee=access.account.payee,
        )
        report = ChannelReport(line.number, ChannelState.PAID, receipt, detail="statement")
        evidence = f"statement:{standing.account_id}:{standing.day}:{line.n}"
        return (await self.confirm(uow, access, report, evidence=evidence, aside=aside)).outcome

    async def _refunded(self, uow: UnitOfWork, access: Access, standing: Discrepancy) -> str:
        """A refund that nobody told us of, made in the channel's console most likely."""
        line = await self._line(uow, standing)
        if line.kind is not LineKind.REFUND:
            raise Conflict("this line is no refund", code="remedy_unfit")
        report = RefundReport(
            number=line.number if line.status is not LineStatus.REVERSED and line.number else None,
            payment_number=line.payment_number,
            state=RefundState.SUCCEEDED,
            amount=line.total,
            channel_id=line.transaction_id,
            at=line.at,
            detail="statement",
        )
        evidence = f"statement:{standing.account_id}:{standing.day}:{line.n}"
        return (await self.confirm_refund(uow, access, report, evidence=evidence)).outcome

    async def _line(self, uow: UnitOfWork, standing: Discrepancy) -> Line:
        if standing.line_n is None:
            raise Conflict("no bill has this line", code="remedy_unfit")
        return await uow.bills.line(standing.account_id, standing.day, standing.line_n)


def _open(standing: Discrepancy) -> Discrepancy:
    if not standing.live:
        raise Conflict(f"this discrepancy is {standing.status}", code="discrepancy_settled")
    return standing
