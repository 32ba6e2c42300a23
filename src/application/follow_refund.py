"""What a refund's new state means for the shares that come back with it."""

from datetime import datetime

from application.ports.storage import UnitOfWork
from domain.channels import FundMode
from domain.refunds import Refund
from domain.share_returns import ReturnStatus
from domain.sharing_postings import share_returned

_NOT_YET = (ReturnStatus.REQUESTED, ReturnStatus.CANCELLED)


async def follow_refund(uow: UnitOfWork, refund: Refund, now: datetime) -> None:
    """With a refund that the channel has debited they have come back; of one that came to nothing, nothing does."""
    if refund.fund_mode is not FundMode.DIRECT or not (refund.debited or refund.void):
        return
    for one in await uow.share_returns.of_refund(refund.id):
        if refund.debited and one.with_refund and one.status in _NOT_YET:
            done = one.succeeded(now, at=refund.accepted_at or now)
            await uow.ledger.post(share_returned(done))
            await uow.share_returns.save(done)
        elif refund.void and one.status is ReturnStatus.REQUESTED:
            await uow.share_returns.save(one.cancelled(now))
