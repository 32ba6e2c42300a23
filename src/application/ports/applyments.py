"""Where merchants' applications at a channel are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.applyments import Applyment


class Applyments(Protocol):
    """Applications of merchants at a channel. ``get`` and ``lock`` raise NotFound."""

    async def get(self, applyment_id: str) -> Applyment: ...
    async def lock(self, applyment_id: str) -> Applyment: ...
    async def of_merchant(self, merchant_id: str) -> Sequence[Applyment]:
        """Newest first."""
        ...

    async def add(self, applyment: Applyment) -> None: ...
    async def save(self, applyment: Applyment) -> None: ...
    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Applyment]:
        """With ``next_at`` <= now, oldest due first, moved on by ``Applyment.polled``. Locked rows are skipped."""
        ...
