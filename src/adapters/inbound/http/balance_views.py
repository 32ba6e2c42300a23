"""What merchants and operators receive of balances and account histories."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from msgspec import Meta

from adapters.inbound.http.views import OBJECT, NextCursor, Time
from application.ports.queries import Page
from domain.balances import Balance
from domain.channels import Mode
from domain.ledger import Account

Signed = Annotated[int, Meta(description="In minor units (fen); negative where it was taken away.", examples=[-990])]
Standing = Annotated[
    Literal["pending", "available", "frozen", "refunding", "settling", "debt", "direct_held", "service_fee_due"],
    QueryParameter(description="Which of the balances.", examples=[Example(value="available")]),
]


class BalanceView(msgspec.Struct, kw_only=True):
    """What you have in one currency, by where it stands. In minor units (fen)."""

    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    pending: Annotated[
        int,
        Meta(
            description="Paid, and not yet released: its channel day is not closed or its risk days are not over.",
            examples=[1990],
        ),
    ]
    available: Annotated[
        int,
        Meta(
            description="Released: what the next settlement pays out, and what refunds of released payments draw on.",
            examples=[1990],
        ),
    ]
    frozen: Annotated[int, Meta(description="Set aside by the platform, with a reason.", examples=[1990])]
    refunding: Annotated[int, Meta(description="On its way back to payers.", examples=[1990])]
    settling: Annotated[int, Meta(description="In a settlement that is not paid out yet.", examples=[1990])]
    debt: Annotated[
        int,
        Meta(
            description="What you owe, where a debit was more than you had; repaid first from what becomes available.",
            examples=[1990],
        ),
    ]
    direct_held: Annotated[
        int,
        Meta(
            description="Direct mode: what your own channel accounts hold of payments made through us.", examples=[1990]
        ),
    ]
    service_fee_due: Annotated[
        int, Meta(description="Direct mode: our fee on such payments, not yet collected.", examples=[1990])
    ]


class BalanceList(msgspec.Struct, kw_only=True):
    """Your balance, all of one moment."""

    object: Annotated[Literal["balance"], OBJECT]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    data: Annotated[list[BalanceView], Meta(description="One a currency.")]


class CauseView(msgspec.Struct, kw_only=True):
    """Why it was booked."""

    type: Annotated[
        str,
        Meta(
            description="`payment`, `refund`, `held_money`, `settlement`, `account_entry`, …",
            examples=["refund"],
        ),
    ]
    id: Annotated[str, Meta(description="Of that object.", examples=["ref_01KB5P4Z0W3V7H2M9T8Q6R5N4H"])]
    url: Annotated[
        str | None,
        Meta(description="Where to read more.", examples=["/v1/refunds/ref_01KB5P4Z0W3V7H2M9T8Q6R5N4H"]),
    ]


class TransferView(msgspec.Struct, kw_only=True):
    """One line of an account's history (账户流水)."""

    id: Annotated[str, Meta(description="Ours; the same whenever you ask.", examples=["trf_9f86d081884c7d659a2feaa0"])]
    fact: Annotated[str, Meta(description="What happened.", examples=["refund_reserved"])]
    amount: Signed
    balance_after: Annotated[int, Meta(description="What the account came to by it.", examples=[1000])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    cause: Annotated[CauseView, Meta(description="The object behind it.")]
    order_id: Annotated[
        str | None, Meta(description="The order it belongs to.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    channel_date: Annotated[str, Meta(description="The channel's day of the fact.", examples=["2026-11-01"])]
    posting_date: Annotated[str, Meta(description="Our day on which it was booked.", examples=["2026-11-01"])]
    created_at: Time


class TransferPage(msgspec.Struct, kw_only=True):
    """An account's history, newest first."""

    data: Annotated[list[TransferView], Meta(description="The lines of this page.")]
    next_cursor: NextCursor


class LedgerAccountView(msgspec.Struct, kw_only=True):
    """One account of the ledger (会计账户)."""

    id: Annotated[str, Meta(description="As transfers name it; a 64-bit number as text.", examples=["-81985529"])]
    kind: Annotated[str, Meta(description="What it is for (the books name them).", examples=["MA"])]
    owner: Annotated[
        str, Meta(description="A merchant, a channel account, `platform`.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    fund: Annotated[str, Meta(description="The channel's own sub-account.", examples=["BASIC"])]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    balance: Annotated[
        int, Meta(description="Credits minus debits, in minor units: below zero for assets.", examples=[1990])
    ]


def balance_list(mode: Mode, balances: "list[Balance]") -> BalanceList:
    data = [msgspec.convert(each, BalanceView, from_attributes=True) for each in balances]
    return BalanceList(object="balance", mode=mode, data=data)


def transfer_page(page: Page) -> TransferPage:
    return TransferPage(data=[_transfer(row) for row in page.rows], next_cursor=page.next_cursor)


def account_view(account: Account, balance: int) -> LedgerAccountView:
    return LedgerAccountView(
        id=str(account.id),
        kind=str(account.kind),
        owner=account.owner,
        fund=account.fund,
        mode=account.mode,
        currency=account.currency,
        balance=balance,
    )


def _transfer(row: Mapping[str, Any]) -> TransferView:
    shown = {name: value for name, value in row.items() if name != "about"}
    return msgspec.convert(shown, TransferView)
