"""/admin/v1: how approved settlements are paid: bank files, what banks and channels said, and taking one back."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import PLAIN, Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.kit import Req
from domain.money import Money
from domain.payouts import PayoutState
from domain.settlements import Settlement, SettlementStatus

TAGS = ["Payouts"]

SettlementId = Annotated[
    str, Meta(max_length=40, description="The settlement.", examples=["stl_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
]


class BankFileBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which approved settlements to pay by bank."""

    settlement_ids: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=40)]],
        Meta(
            min_length=1,
            max_length=500,
            description="Approved ones; or such as were exported before, whose file was lost.",
            examples=[["stl_01KB5P4Z0W3V7H2M9T8Q6R5N4B"]],
        ),
    ]


class BankFileView(msgspec.Struct, kw_only=True):
    """A bank file. It has whole account numbers: it is shown once and kept nowhere."""

    object: Annotated[Literal["bank_file"], Meta(description="What this is.", examples=["bank_file"])] = "bank_file"
    lines: Annotated[int, Meta(description="How many payouts are in it.", examples=[1])]
    content: Annotated[
        str | None,
        Meta(
            description="CSV, UTF-8: holder, number, bank, amount in yuan, and our number as the remark. Null in the "
            "repetition of a call.",
            examples=["收款户名,收款账号,开户银行,金额,附言\r\n"],
        ),
    ]


class PayoutEndBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of a payout."""

    end: Annotated[
        Literal["paid", "failed", "bounced"],
        Meta(
            description="By bank: `paid` or `failed`. On any rail: `bounced`, when paid money has come back (退票).",
            examples=["paid"],
        ),
    ]
    reference: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=PLAIN)],
        Meta(description="The bank's or channel's own number.", examples=["2026112600012345"]),
    ]
    at: Annotated[datetime, Meta(tz=True, description="When.", examples=["2026-11-26T15:04:05+08:00"])]
    charge: Annotated[
        Annotated[int, Meta(ge=0, le=10**8)],
        Meta(description="What the bank took for the transfer, in fen.", examples=[500]),
    ] = 0
    note: Annotated[
        Annotated[str, Meta(max_length=200, pattern=rf"^$|{PLAIN}")],
        Meta(description="For who approves it, and the reason where it failed.", examples=["账户已销户"]),
    ] = ""


class PayoutCancelBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why."""

    reason: Annotated[Sentence, Meta(description="Kept and shown.", examples=["收款人要求暂缓"])]


class PayoutView(msgspec.Struct, kw_only=True):
    """A payout as it stands."""

    object: Annotated[Literal["payout"], Meta(description="What this is.", examples=["payout"])] = "payout"
    settlement_id: SettlementId
    number: Annotated[str, Meta(description="What the rail knows it by.", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4BX"])]
    status: Annotated[SettlementStatus, Meta(description="The settlement's.", examples=["cancelled"])]
    payout: Annotated[int, Meta(description="What the payee gets, in fen.", examples=[99_400])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    reference: Annotated[str | None, Meta(description="The rail's own number of it.", examples=["2026112600012345"])]
    failure: Annotated[str | None, Meta(description="Why it did not arrive (yet).", examples=["channel_funds_short"])]


def payout_view(settlement: Settlement) -> PayoutView:
    """The same of the aggregate."""
    return PayoutView(
        settlement_id=settlement.id,
        number=settlement.number,
        status=settlement.status,
        payout=settlement.payout.minor,
        currency=settlement.amount.currency,
        reference=settlement.reference,
        failure=settlement.failure,
    )


@post(
    "/payouts/bank_files",
    status_code=201,
    summary="Take a bank file",
    operation_id="exportBankFile",
    tags=TAGS,
    opt=needs("payouts.export", step_up=True),
)
async def export_bank_file(
    data: JSONBody[BankFileBody], request: Req, admin: Admin, actor: Who
) -> Response[BankFileView]:
    """From now on these settlements are `paying`: nobody cancels them, and somebody says what the bank did."""

    async def run() -> BankFileView:
        content = await admin.export_bank_file(actor, data.settlement_ids)
        return BankFileView(lines=len(set(data.settlement_ids)), content=content)

    return await once(admin, request, actor, data, run, shown_once=("content",))


@post(
    "/settlements/{settlement_id:str}/payout_end",
    status_code=202,
    summary="Say what became of a payout",
    operation_id="recordPayoutEnd",
    tags=TAGS,
    opt=needs("payouts.record", step_up=True),
)
async def record_payout_end(
    settlement_id: FromPath[str], data: JSONBody[PayoutEndBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another who holds `payouts.approve` confirms it; then it is booked."""

    async def run() -> ProposalView:
        proposal = await admin.propose_payout_end(
            actor,
            settlement_id,
            PayoutState(data.end),
            reference=data.reference,
            at=data.at,
            charge=Money(data.charge),
            note=data.note,
        )
        return proposal_view(proposal)

    return await once(admin, request, actor, data, run, status=202)


@post(
    "/settlements/{settlement_id:str}/cancel",
    status_code=200,
    summary="Take a payout back",
    operation_id="cancelPayout",
    tags=TAGS,
    opt=needs("payouts.cancel", step_up=True),
)
async def cancel_payout(
    settlement_id: FromPath[str], data: JSONBody[PayoutCancelBody], request: Req, admin: Admin, actor: Who
) -> Response[PayoutView]:
    """Before it is sent; or at WeChat Pay while its payee has not confirmed it. The money is available again."""

    async def run() -> PayoutView:
        return payout_view(await admin.cancel_payout(actor, settlement_id, data.reason))

    return await once(admin, request, actor, data, run, status=200)


HANDLERS = [export_bank_file, record_payout_end, cancel_payout]
