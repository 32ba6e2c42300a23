"""Payouts by bank: an operator takes the file, enters what the bank says, and a second person confirms it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.confirm_attempt import Outcome
from application.confirm_payout import ConfirmPayout
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, payee_context
from application.propose import Propose
from domain.actors import Actor
from domain.errors import Conflict
from domain.money import Money
from domain.payouts import PayeeKind, PayoutReport, PayoutState
from domain.proposals import Proposal
from domain.settlements import Rail, Settlement, SettlementStatus

RECORD_PAYOUT = "settlement.record_payout"
APPROVES = "payouts.approve"
HEADER = ("收款户名", "收款账号", "开户银行", "金额", "附言")
_S = SettlementStatus
# What a person may say of a payout, by its state. A channel speaks for its own, but for what bounced long after.
_SAID = {PayoutState.PAID: _S.PAYING, PayoutState.FAILED: _S.PAYING, PayoutState.BOUNCED: _S.PAID}


@dataclass(frozen=True, slots=True)
class ExportBankFile:
    """The bank file of these settlements, which from now on count as sent: nobody cancels them any more.

    One that is sent already may be exported again, for a file that was lost; its number in 附言 stays the same, so that
    a bank and people can tell. Raises Conflict("payout_not_exportable") for one that is not approved, or not manual.
    """

    unit_of_work: UnitOfWorkFactory
    vault: Vault
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, settlement_ids: Sequence[str]) -> str:
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\r\n")
        rows.writerow(HEADER)
        async with self.unit_of_work() as uow:
            for settlement_id in sorted(set(settlement_ids)):
                rows.writerow(await self._row(uow, actor, settlement_id))
        return out.getvalue()

    async def _row(self, uow: UnitOfWork, actor: Actor, settlement_id: str) -> tuple[str, ...]:
        now, standing = self.clock.now(), await uow.settlements.lock(settlement_id)
        payee, again = standing.payee, standing.status is _S.PAYING
        if not _manual(standing) or payee is None or not (again or standing.status is _S.APPROVED):
            raise Conflict(f"{settlement_id} is {standing.status}, or no bank's", code="payout_not_exportable")
        if payee.kind is not PayeeKind.BANK:
            raise Conflict(f"the payee of {settlement_id} is no bank account", code="payout_not_exportable")
        if not again:
            await uow.settlements.save(standing.paying(now))
        await uow.audit.add(
            actor.did(
                "settlement.exported",
                standing.id,
                id=self.ids.new("aud"),
                at=now,
                merchant_id=standing.merchant_id,
                after={"payout": standing.payout.minor, "again": again},
            )
        )
        number = self.vault.open(payee_context(standing.merchant_id), payee.sealed).decode()
        # Spreadsheets would take a text that begins so for a formula, and a long number for a rounded one.
        holder, bank = (f"'{text}" if text[:1] in "=+-@\t\r" else text for text in (payee.holder, payee.bank))
        return holder, f"\t{number}", bank, standing.payout.yuan, standing.number


@dataclass(frozen=True, slots=True)
class ProposePayoutEnd:
    """Say what a bank did with a payout, or that any payout came back (退票). Raises Conflict("payout_end_unfit")."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose

    async def __call__(
        self,
        actor: Actor,
        settlement_id: str,
        end: PayoutState,
        *,
        reference: str,
        at: datetime,
        charge: Money = Money(0),
        note: str = "",
    ) -> Proposal:
        async with self.unit_of_work() as uow:
            standing = await uow.settlements.get(settlement_id)
            _must_fit(standing, end)
            return await self.propose.within(
                uow,
                actor,
                RECORD_PAYOUT,
                {
                    "settlement_id": standing.id,
                    "end": str(end),
                    "reference": reference,
                    "at": at.isoformat(),
                    "charge": charge.minor,
                    "note": note,
                },
                summary=f"{end}: payout of {standing.payout}, {standing.number}, {reference}",
                permission=APPROVES,
                merchant_id=standing.merchant_id,
            )


@dataclass(frozen=True, slots=True)
class RecordPayoutEnd:
    """The executor behind those proposals. Two of them at once, or one after a channel's own word: the first counts,
    the second raises Conflict."""

    confirm: ConfirmPayout

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        del actor  # who decided stands in the proposal and its audit
        said, end = proposal.payload, PayoutState(proposal.payload["end"])
        standing = await uow.settlements.lock(str(said["settlement_id"]))
        _must_fit(standing, end)
        report = PayoutReport(
            number=standing.number,
            state=end,
            charge=Money(int(said["charge"])),
            channel_id=str(said["reference"]) or None if end is PayoutState.PAID else None,
            at=datetime.fromisoformat(str(said["at"])),
            detail=str(said["note"]) or str(said["reference"]),
        )
        confirmation = await self.confirm.take(uow, standing, report)
        assert confirmation.outcome is Outcome.PAYOUT, "what fits moves"
        return {"settlement_id": standing.id, "end": str(end)}


def _manual(standing: Settlement) -> bool:
    return standing.source is not None and standing.source.rail is Rail.MANUAL


def _must_fit(standing: Settlement, end: PayoutState) -> None:
    told = end is PayoutState.BOUNCED or _manual(standing)
    if _SAID.get(end) is not standing.status or not told:
        raise Conflict(f"a payout that is {standing.status} is not {end} by our word", code="payout_end_unfit")
