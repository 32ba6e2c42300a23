"""/admin/v1: what people book: an amount frozen or free again, top-ups, adjustments, bank arrivals."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import END, Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.kit import Req
from adapters.inbound.http.views import OBJECT, Time
from application.book_entries import EntryWish
from domain.account_entries import AccountEntry, EntryKind
from domain.channels import Mode
from domain.money import Money

TAGS = ["Accounts"]
_Amount = Annotated[int, Meta(ge=1, le=1_000_000_000_000, description="In minor units (fen).", examples=[1990])]
_Mode = Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
_Reason = Annotated[Sentence, Meta(description="Why; the merchant reads it.", examples=["complaint 20261101-7"])]
_Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_]{1,64}" + END)]
_Reference = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z._-]{1,64}" + END)]


class FreezeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An amount of a merchant's balance."""

    mode: _Mode
    amount: _Amount
    reason: _Reason


class EntryBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What shall be booked."""

    kind: Annotated[
        Literal["top_up", "credit", "debit", "bank_arrival"],
        Meta(
            description="`top_up`: the merchant sent money to our bank account. `credit`, `debit`: an adjustment in "
            "the merchant's favour or at its expense. `bank_arrival`: what a channel paid out has arrived at our bank.",
            examples=["top_up"],
        ),
    ]
    mode: _Mode
    amount: _Amount
    reason: _Reason
    merchant_id: Annotated[_Id | None, Meta(description="Whose; not with `bank_arrival`.", examples=["mch_1"])] = None
    bank_reference: Annotated[
        _Reference | None,
        Meta(
            description="The bank's own number of it, booked once; with `top_up` and `bank_arrival`.", examples=["B-1"]
        ),
    ] = None


class EntryView(msgspec.Struct, kw_only=True):
    """One entry that was booked by hand (手工记账)."""

    id: Annotated[str, Meta(description="Our id.", examples=["ent_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["account_entry"], OBJECT]
    mode: _Mode
    kind: Annotated[EntryKind, Meta(description="What it does.", examples=["freeze"])]
    amount: _Amount
    repaid: Annotated[int, Meta(ge=0, description="What of it went to a debt at once.", examples=[0])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    reason: Annotated[str, Meta(description="Why.", examples=["complaint 20261101-7"])]
    bank_reference: Annotated[str | None, Meta(description="The bank's number.", examples=[None])]
    created_at: Time


def entry_view(entry: AccountEntry) -> EntryView:
    return msgspec.convert(entry.snapshot(), EntryView)


def _wish(kind: EntryKind, merchant_id: str, data: FreezeBody) -> EntryWish:
    return EntryWish(kind=kind, mode=data.mode, amount=Money(data.amount), reason=data.reason, merchant_id=merchant_id)


@post(
    "/merchants/{merchant_id:str}/freeze",
    summary="Freeze an amount",
    operation_id="freezeBalance",
    tags=TAGS,
    opt=needs("balances.freeze", step_up=True),
)
async def freeze_balance(
    merchant_id: FromPath[str], data: JSONBody[FreezeBody], request: Req, admin: Admin, actor: Who
) -> Response[EntryView]:
    """From what is available to what is frozen, at once: it is neither settled nor refunded from, and stays the
    merchant's. 409 `balance_too_low` when less than that is available."""

    async def run() -> EntryView:
        return entry_view(await admin.freeze_balance(actor, _wish(EntryKind.FREEZE, merchant_id, data)))

    return await once(admin, request, actor, data, run)


@post(
    "/merchants/{merchant_id:str}/unfreeze",
    summary="Unfreeze an amount",
    operation_id="unfreezeBalance",
    tags=TAGS,
    opt=needs("balances.freeze", step_up=True),
)
async def unfreeze_balance(
    merchant_id: FromPath[str], data: JSONBody[FreezeBody], request: Req, admin: Admin, actor: Who
) -> Response[EntryView]:
    """From what is frozen back to what is available. 409 `balance_too_low` when less than that is frozen."""

    async def run() -> EntryView:
        return entry_view(await admin.freeze_balance(actor, _wish(EntryKind.UNFREEZE, merchant_id, data)))

    return await once(admin, request, actor, data, run)


@post(
    "/account_entries",
    summary="Propose an entry",
    operation_id="proposeEntry",
    tags=TAGS,
    opt=needs("balances.propose", step_up=True),
)
async def propose_entry(data: JSONBody[EntryBody], request: Req, admin: Admin, actor: Who) -> Response[ProposalView]:
    """A top-up, an adjustment or a bank arrival. Another person, with `balances.approve`, decides; then it is booked
    at once and once. What is added to a merchant's balance repays its debt first."""

    async def run() -> ProposalView:
        wish = EntryWish(
            kind=EntryKind(data.kind),
            mode=data.mode,
            amount=Money(data.amount),
            reason=data.reason,
            merchant_id=data.merchant_id,
            bank_reference=data.bank_reference,
        )
        return proposal_view(await admin.propose_entry(actor, wish))

    return await once(admin, request, actor, data, run)


HANDLERS = [freeze_balance, unfreeze_balance, propose_entry]
