"""Invoices for service fees as they are stored."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from domain.channels import Mode
from domain.invoices import Due, Invoice


class Invoices(Protocol):
    """``get`` and ``lock`` raise NotFound. ``add`` may raise AlreadyExists("uq_invoice_month")."""

    async def get(self, invoice_id: str) -> Invoice: ...
    async def lock(self, invoice_id: str) -> Invoice: ...
    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Invoice]:
        """Newest month first, in one mode or both."""
        ...

    async def of_month(self, month: date) -> Sequence[Invoice]:
        """Every merchant's, by merchant and mode."""
        ...

    async def due(self, month: date) -> Sequence[Due]:
        """What each merchant without an invoice of this month owes by its last day (by channel_date), less what
        invoices of earlier months have in them. Only amounts above zero."""
        ...

    async def add(self, invoice: Invoice) -> None: ...
    async def save(self, invoice: Invoice) -> None: ...
