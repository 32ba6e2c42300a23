"""People book: freeze and unfreeze alone; top up, adjust and take bank arrivals in together with a second person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from domain.account_entries import ALONE, FROM_THE_BANK, AccountEntry, EntryKind
from domain.account_postings import booked, lowered_by
from domain.actors import Actor
from domain.channels import Mode
from domain.errors import Conflict, InvalidRequest
from domain.ledger import PLATFORM, Account, AccountKind
from domain.money import Money
from domain.proposals import Proposal
from domain.settlement_postings import debt_repaid

BOOK = "account_entry.book"
APPROVE = "balances.approve"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """What somebody wants booked. Raises InvalidRequest for what does not go together."""

    kind: EntryKind
    mode: Mode
    amount: Money
    reason: str
    merchant_id: str | None = None
    bank_reference: str | None = None

    def __post_init__(self) -> None:
        if (self.kind in FROM_THE_BANK) != (self.bank_reference is not None):
            raise InvalidRequest(
                "the bank's reference belongs to what came through the bank",
                code="entry_invalid",
                pointer="/bank_reference",
            )
        if (self.kind is EntryKind.BANK_ARRIVAL) != (self.merchant_id is None):
            raise InvalidRequest(
                "a merchant belongs to all but a bank arrival", code="entry_invalid", pointer="/merchant_id"
            )


@dataclass(frozen=True, slots=True)
class KeepBooks:
    """``book`` makes the entry inside a unit of work: guards what decides, posts, repays a debt, tells the merchant.

    Raises NotFound for no such merchant, Conflict when the balance does not bear it or the bank's reference is booked.
    """

    clock: Clock
    ids: Ids

    async def book(
        self, uow: UnitOfWork, actor: Actor, wish: EntryWish, *, proposed_by: str | None = None
    ) -> AccountEntry:
        if wish.merchant_id is not None:
            await uow.merchants.get(wish.merchant_id)
        entry = AccountEntry(
            id=self.ids.new("ent"),
            kind=wish.kind,
            merchant_id=wish.merchant_id,
            mode=wish.mode,
            amount=wish.amount,
            reason=wish.reason,
            made_by=proposed_by or actor.id,
            created_at=self.clock.now(),
            bank_reference=wish.bank_reference,
        )
        # All that decides is guarded at once, in the one order: the merchant's available money, by which its debt is
        # guarded too; what is frozen; and for the bank's references the bank.
        bank = Account(AccountKind.BANK, PLATFORM, wish.mode, wish.amount.currency)
        guarded = {bank} if wish.bank_reference is not None else set[Account]()
        if wish.merchant_id is not None:
            guarded.add(_of(wish, AccountKind.MERCHANT_AVAILABLE))
        lowered = lowered_by(entry)
        await uow.ledger.guard(*guarded, *([lowered] if lowered else []))
        if lowered is not None:
            await _bears(uow, lowered, wish.amount)
        if wish.bank_reference is not None:
            await _unknown(uow, wish.mode, wish.bank_reference)
        await uow.ledger.post(booked(entry))
        entry = entry.told(await self._repay(uow, entry, wish))
        await uow.entries.add(entry)
        await uow.audit.add(
            actor.did(
                f"account_entry.{entry.kind}",
                entry.id,
                id=self.ids.new("aud"),
                at=entry.created_at,
                merchant_id=entry.merchant_id,
                after={"amount": entry.amount.minor, "mode": str(entry.mode), "reason": entry.reason}
                | ({"bank_reference": entry.bank_reference} if entry.bank_reference else {}),
            )
        )
        return entry

    async def _repay(self, uow: UnitOfWork, entry: AccountEntry, wish: EntryWish) -> Money:
        """A debt comes first: what is added to the available money repays it, in the same unit of work."""
        if entry.kind not in (EntryKind.TOP_UP, EntryKind.CREDIT):
            return Money(0, wish.amount.currency)
        debt = max(-await uow.ledger.balance(_of(wish, AccountKind.MERCHANT_DEBT)), 0)
        repaid = Money(min(debt, wish.amount.minor), wish.amount.currency)
        if repaid:
            assert wish.merchant_id is not None
            await uow.ledger.post(
                debt_repaid(
                    wish.merchant_id, wish.mode, repaid, entry.created_at, cause=f"entry:{entry.id}", about=entry.id
                )
            )
        return repaid


@dataclass(frozen=True, slots=True)
class FreezeBalance:
    """Set an amount aside, or give it free again; booked at once by one person."""

    unit_of_work: UnitOfWorkFactory
    books: KeepBooks

    async def __call__(self, actor: Actor, wish: EntryWish) -> AccountEntry:
        assert wish.kind in ALONE
        async with self.unit_of_work() as uow:
            return await self.books.book(uow, actor, wish)


@dataclass(frozen=True, slots=True)
class ProposeEntry:
    """Ask for an entry that takes a second person. Raises Conflict for what could not be booked now either."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose

    async def __call__(self, actor: Actor, wish: EntryWish) -> Proposal:
        assert wish.kind not in ALONE
        async with self.unit_of_work() as uow:
            if wish.merchant_id is not None:
                await uow.merchants.get(wish.merchant_id)
            if wish.kind is EntryKind.DEBIT:
                await _bears(uow, _of(wish, AccountKind.MERCHANT_AVAILABLE), wish.amount)
            if wish.bank_reference is not None:
                await _unknown(uow, wish.mode, wish.bank_reference)
            return await self.propose.within(
                uow,
                actor,
                BOOK,
                {
                    "kind": str(wish.kind),
                    "mode": str(wish.mode),
                    "amount": wish.amount.minor,
                    "currency": wish.amount.currency,
                    "reason": wish.reason,
                    "merchant_id": wish.merchant_id,
                    "bank_reference": wish.bank_reference,
                },
                summary=f"{wish.kind} {wish.amount} ({wish.mode}): {wish.reason}",
                permission=APPROVE,
                merchant_id=wish.merchant_id,
            )


@dataclass(frozen=True, slots=True)
class BookEntry:
    """The executor behind those proposals."""

    books: KeepBooks

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        payload = proposal.payload
        wish = EntryWish(
            kind=EntryKind(str(payload["kind"])),
            mode=Mode(str(payload["mode"])),
            amount=Money(int(payload["amount"]), str(payload["currency"])),
            reason=str(payload["reason"]),
            merchant_id=payload["merchant_id"],
            bank_reference=payload["bank_reference"],
        )
        entry = await self.books.book(uow, actor, wish, proposed_by=proposal.made_by)
        return {"entry_id": entry.id, "repaid": entry.repaid.minor}


def _of(wish: EntryWish, kind: AccountKind) -> Account:
    assert wish.merchant_id is not None
    return Account(kind, wish.merchant_id, wish.mode, wish.amount.currency)


async def _bears(uow: UnitOfWork, account: Account, amount: Money) -> None:
    balance = max(await uow.ledger.balance(account), 0)
    if balance < amount.minor:
        raise Conflict(
            f"{Money(balance, amount.currency)} is there, not {amount}", code="balance_too_low", pointer="/amount"
        )


async def _unknown(uow: UnitOfWork, mode: Mode, reference: str) -> None:
    if await uow.entries.referring(mode, reference) is not None:
        raise Conflict("this bank reference is booked", code="bank_reference_taken", pointer="/bank_reference")
