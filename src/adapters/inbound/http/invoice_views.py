"""Invoices for service fees as merchants and operators receive them."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.channels import Mode
from domain.invoices import Invoice, InvoiceStatus

_AT = "2026-11-01T08:30:00.000+00:00"


class InvoiceView(msgspec.Struct, kw_only=True):
    """Service fees due of one month (服务费账单), where payments come to the merchant's own channel accounts."""

    id: Annotated[str, Meta(description="Our id.", examples=["inv_01KB5P4Z0W3V7H2M9T8Q6R5N4V"])]
    object: Annotated[Literal["invoice"], Meta(description="What kind of object this is.")]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    month: Annotated[str, Meta(description="Of which month (Asia/Shanghai).", examples=["2026-10"])]
    amount: Annotated[
        int,
        Meta(
            ge=1,
            description="Fees, less what refunds gave back and shares have paid, in minor units (fen).",
            examples=[12345],
        ),
    ]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    status: Annotated[InvoiceStatus, Meta(description="`paid` and `written_off` are final.", examples=["issued"])]
    reference: Annotated[str | None, Meta(description="Of the money that came, or why not.", examples=[None])]
    created_at: Annotated[str, Meta(description="When it was issued.", examples=[_AT])]
    settled_at: Annotated[str | None, Meta(description="When it was settled.", examples=[None])]


class InvoiceList(msgspec.Struct, kw_only=True):
    """Invoices, newest month first."""

    data: Annotated[list[InvoiceView], Meta(description="One a month and mode.")]
    next_cursor: Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])] = None


def invoice_list(invoices: Sequence[Invoice]) -> InvoiceList:
    return InvoiceList(data=[msgspec.convert(invoice.snapshot(), InvoiceView) for invoice in invoices])
