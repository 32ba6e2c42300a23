"""What has become of held money follows from its refunds: ours, and those of the channel's own console."""

from collections.abc import Sequence

from domain.money import Money
from domain.payments import SuspenseItem, SuspenseStatus
from domain.refunds import Refund, RefundOrigin, RefundStatus


def left(item: SuspenseItem, refunds: Sequence[Refund]) -> Money:
    """What is still held of it: less what the channel has taken for refunds."""
    gone = sum(refund.debit.minor for refund in _of(item, refunds) if refund.debited)
    return Money(item.amount.minor - gone, item.amount.currency)


def settled(item: SuspenseItem, refunds: Sequence[Refund]) -> SuspenseItem:
    """The item as its refunds leave it: open while nothing of ours is on its way and something is left."""
    standing = [refund for refund in _of(item, refunds) if not refund.void]
    if not left(item, refunds):
        done = all(refund.status is RefundStatus.SUCCEEDED for refund in standing)
        return item.follows(SuspenseStatus.REFUNDED if done else SuspenseStatus.REFUNDING)
    ours = any(refund.origin is RefundOrigin.SUSPENSE for refund in standing)
    return item.follows(SuspenseStatus.REFUNDING if ours else SuspenseStatus.OPEN)


def _of(item: SuspenseItem, refunds: Sequence[Refund]) -> list[Refund]:
    return [refund for refund in refunds if refund.item_id == item.id]
