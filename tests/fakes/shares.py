"""Fake repositories of profit sharing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from domain.channels import Mode
from domain.errors import NotFound
from domain.receivers import PURSUED as RECEIVERS_PURSUED
from domain.receivers import Receiver
from domain.share_returns import ShareReturn
from domain.shares import PURSUED as SHARES_PURSUED
from domain.shares import Share
from tests.fakes.rows import Tables, publish
from tests.fakes.storage import Transaction

T = TypeVar("T")


class FakeReceivers:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, receiver_id: str) -> Receiver:
        await self._transaction.statement("receivers.get")
        return _there(self._transaction.get(self._tables.receivers, receiver_id))

    async def lock(self, receiver_id: str) -> Receiver:
        await self._transaction.statement("receivers.lock")
        found = await self._transaction.lock(self._tables.receivers, receiver_id)
        return _there(found)

    async def many(self, receiver_ids: Collection[str]) -> Mapping[str, Receiver]:
        await self._transaction.statement("receivers.many")
        return {each.id: each for each in self._transaction.rows(self._tables.receivers) if each.id in receiver_ids}

    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Receiver]:
        await self._transaction.statement("receivers.of_merchant")
        rows = self._transaction.rows(self._tables.receivers)
        own = [each for each in rows if each.merchant_id == merchant_id and mode in (None, each.mode)]
        return sorted(own, key=lambda each: each.id, reverse=True)

    async def add(self, receiver: Receiver) -> None:
        await self._transaction.statement("receivers.add")
        await self._transaction.insert(self._tables.receivers, replace(receiver, events=()))
        await publish(self._tables, self._transaction, receiver.events)

    async def save(self, receiver: Receiver) -> None:
        await self._transaction.statement("receivers.save")
        stored = await self._transaction.lock(self._tables.receivers, receiver.id)
        assert stored is not None, f"there is no receiver {receiver.id} to save"
        assert stored.revision <= receiver.revision, "the receiver has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.receivers, replace(receiver, events=()))
        await publish(self._tables, self._transaction, receiver.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Receiver]:
        await self._transaction.statement("receivers.claim_due")
        claimed: list[Receiver] = []
        due = [
            (each.next_at, each.id, each)
            for each in self._transaction.rows(self._tables.receivers)
            if each.status in RECEIVERS_PURSUED and each.next_at is not None and each.next_at <= now
        ]
        for _, _, receiver in sorted(due, key=lambda each: each[:2])[:limit]:
            if self._transaction.take(self._tables.receivers, receiver.id):
                claimed.append(receiver.polled(now))
                await self._transaction.update(self._tables.receivers, claimed[-1])
        return claimed


class FakeShares:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, share_id: str) -> Share:
        await self._transaction.statement("shares.get")
        return _there(self._transaction.get(self._tables.shares, share_id))

    async def lock(self, share_id: str) -> Share:
        await self._transaction.statement("shares.lock")
        found = await self._transaction.lock(self._tables.shares, share_id)
        return _there(found)

    async def asked(self, merchant_id: str, mode: Mode, merchant_share_no: str) -> Share | None:
        await self._transaction.statement("shares.asked")
        key = (merchant_id, mode, merchant_share_no)
        return self._transaction.find(self._tables.shares, "uq_share_merchant_share_no", key)

    async def of_order(self, order_id: str) -> Sequence[Share]:
        await self._transaction.statement("shares.of_order")
        of_it = [each for each in self._transaction.rows(self._tables.shares) if each.order_id == order_id]
        return sorted(of_it, key=lambda share: (share.created_at, share.id))

    async def add(self, share: Share) -> None:
        await self._transaction.statement("shares.add")
        await self._transaction.insert(self._tables.shares, replace(share, events=()))
        await publish(self._tables, self._transaction, share.events)

    async def save(self, share: Share) -> None:
        await self._transaction.statement("shares.save")
        stored = await self._transaction.lock(self._tables.shares, share.id)
        assert stored is not None, f"there is no share {share.id} to save"
        assert stored.revision <= share.revision, "the share has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.shares, replace(share, events=()))
        await publish(self._tables, self._transaction, share.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Share]:
        await self._transaction.statement("shares.claim_due")
        claimed: list[Share] = []
        due = [
            (each.next_at, each.id, each)
            for each in self._transaction.rows(self._tables.shares)
            if each.status in SHARES_PURSUED and each.next_at is not None and each.next_at <= now
        ]
        for _, _, share in sorted(due, key=lambda each: each[:2])[:limit]:
            if self._transaction.take(self._tables.shares, share.id):
                claimed.append(share.polled(now))
                await self._transaction.update(self._tables.shares, claimed[-1])
        return claimed


class FakeShareReturns:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def lock(self, return_id: str) -> ShareReturn:
        await self._transaction.statement("share_returns.lock")
        found = await self._transaction.lock(self._tables.share_returns, return_id)
        return _there(found)

    async def of_order(self, order_id: str) -> Sequence[ShareReturn]:
        await self._transaction.statement("share_returns.of_order")
        rows = self._transaction.rows(self._tables.share_returns)
        return sorted((each for each in rows if each.order_id == order_id), key=_age)

    async def of_refund(self, refund_id: str) -> Sequence[ShareReturn]:
        await self._transaction.statement("share_returns.of_refund")
        rows = self._transaction.rows(self._tables.share_returns)
        return sorted((each for each in rows if each.refund_id == refund_id), key=_age)

    async def add(self, returned: ShareReturn) -> None:
        await self._transaction.statement("share_returns.add")
        await self._transaction.insert(self._tables.share_returns, replace(returned, events=()))
        await publish(self._tables, self._transaction, returned.events)

    async def save(self, returned: ShareReturn) -> None:
        await self._transaction.statement("share_returns.save")
        stored = await self._transaction.lock(self._tables.share_returns, returned.id)
        assert stored is not None, f"there is no return {returned.id} to save"
        assert stored.revision <= returned.revision, "the return has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.share_returns, replace(returned, events=()))
        await publish(self._tables, self._transaction, returned.events)


def _age(returned: ShareReturn) -> tuple[datetime, str]:
    return returned.created_at, returned.id


def _there(row: T | None) -> T:
    if row is None:
        raise NotFound("no such object")
    return row
