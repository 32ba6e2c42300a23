"""Receivers, shares and returns as rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Channel, Mode
from domain.errors import NotFound
from domain.money import Money
from domain.receivers import Receiver, ReceiverStatus, ReceiverWish
from domain.share_returns import ReturnStatus, ShareReturn
from domain.shares import Part, Share, ShareStatus
from domain.sharing import PartResult, ReceiverKind, Relation

# ── Receivers ────────────────────────────────────────────────────────────────────────────────────────────────────────

_r = tables.receiver
_R_FROZEN = [
    "id", "merchant_id", "mode", "channel", "number", "account_id", "kind", "account", "name", "relation",
    "platform_account_id", "created_at",
]  # fmt: skip
_R_MOVING = ["status", "failure", "next_at", "polls", "revision"]
_ADD_RECEIVER = inserting("add_receiver", _r, [*_R_FROZEN, *_R_MOVING])
_SAVE_RECEIVER = updating("save_receiver", _r, _R_MOVING, revision=True)
_GET_RECEIVER = prepare(select(_r).where(_r.c.id == bindparam("id")))
_LOCK_RECEIVER = prepare(select(_r).where(_r.c.id == bindparam("id")).with_for_update(key_share=True))
_RECEIVERS = prepare(select(_r).where(_r.c.id == bindparam("ids", type_=ARRAY(Text)).any_()))
_OF_MERCHANT = prepare(
    select(_r)
    .where(_r.c.merchant_id == bindparam("merchant_id"), _r.c.mode == bindparam("modes", type_=ARRAY(Text)).any_())
    .order_by(_r.c.id.desc())
)
_DUE_RECEIVERS = prepare(
    select(_r)
    .where(text(tables.RECEIVER_PURSUED), _r.c.next_at <= bindparam("now"))
    .order_by(_r.c.next_at, _r.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class SqlReceivers:
    tx: Transaction

    async def get(self, receiver_id: str) -> Receiver:
        return _receiver(_one(await self.tx.read(_GET_RECEIVER, id=receiver_id), receiver_id))

    async def lock(self, receiver_id: str) -> Receiver:
        return _receiver(_one(await self.tx.run(_LOCK_RECEIVER, id=receiver_id), receiver_id))

    async def many(self, receiver_ids: Collection[str]) -> Mapping[str, Receiver]:
        found = await self.tx.read(_RECEIVERS, ids=list(receiver_ids))
        return {row["id"]: _receiver(row) for row in found}

    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Receiver]:
        modes = [str(mode)] if mode is not None else [str(each) for each in Mode]
        return [_receiver(row) for row in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id, modes=modes)]

    async def add(self, receiver: Receiver) -> None:
        wish = receiver.wish
        frozen = {
            "id": receiver.id,
            "merchant_id": receiver.merchant_id,
            "mode": receiver.mode,
            "channel": receiver.channel,
            "number": receiver.number,
            "account_id": wish.account_id,
            "kind": wish.kind,
            "account": wish.account,
            "name": wish.name,
            "relation": wish.relation,
            "platform_account_id": wish.platform_account_id,
            "created_at": receiver.created_at,
        }
        await self.tx.write(_ADD_RECEIVER, [frozen | _receiver_moving(receiver)])
        await publish(self.tx, receiver.events)

    async def save(self, receiver: Receiver) -> None:
        await self.tx.write(_SAVE_RECEIVER, [_receiver_moving(receiver)], short=stale)
        await publish(self.tx, receiver.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Receiver]:
        claimed = [_receiver(row).polled(now) for row in await self.tx.run(_DUE_RECEIVERS, now=now, limit=limit)]
        if claimed:
            await self.tx.write(_SAVE_RECEIVER, [_receiver_moving(one) for one in claimed], short=stale)
        return claimed


def _receiver(row: asyncpg.Record) -> Receiver:
    return Receiver(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=Mode(row["mode"]),
        channel=Channel(row["channel"]),
        number=row["number"],
        wish=ReceiverWish(
            account_id=row["account_id"],
            kind=ReceiverKind(row["kind"]),
            account=row["account"],
            name=row["name"],
            relation=Relation(row["relation"]),
            platform_account_id=row["platform_account_id"],
        ),
        created_at=row["created_at"],
        status=ReceiverStatus(row["status"]),
        failure=row["failure"],
        next_at=row["next_at"],
        polls=row["polls"],
        revision=row["revision"],
    )


def _receiver_moving(receiver: Receiver) -> dict[str, Any]:
    return {name: getattr(receiver, name) for name in ("id", *_R_MOVING)}


# ── Shares ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_s = tables.share
_S_FROZEN = [
    "id", "order_id", "payment_id", "merchant_id", "mode", "account_id", "number", "transaction_id", "currency", "ends",
    "amount", "created_at", "merchant_share_no", "notify_url",
]  # fmt: skip
_S_MOVING = ["parts", "status", "channel_id", "failure", "finished_at", "next_at", "polls", "revision"]
_ADD_SHARE = inserting("add_share", _s, [*_S_FROZEN, *_S_MOVING])
_SAVE_SHARE = updating("save_share", _s, _S_MOVING, revision=True)
_GET_SHARE = prepare(select(_s).where(_s.c.id == bindparam("id")))
_LOCK_SHARE = prepare(select(_s).where(_s.c.id == bindparam("id")).with_for_update(key_share=True))
_ASKED = prepare(
    select(_s).where(
        _s.c.merchant_id == bindparam("merchant_id"),
        _s.c.mode == bindparam("mode"),
        _s.c.merchant_share_no == bindparam("merchant_share_no"),
    )
)
_OF_ORDER = prepare(select(_s).where(_s.c.order_id == bindparam("order_id")).order_by(_s.c.created_at, _s.c.id))
_DUE_SHARES = prepare(
    select(_s)
    .where(text(tables.SHARE_PURSUED), _s.c.next_at <= bindparam("now"))
    .order_by(_s.c.next_at, _s.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class SqlShares:
    tx: Transaction

    async def get(self, share_id: str) -> Share:
        return _share(_one(await self.tx.read(_GET_SHARE, id=share_id), share_id))

    async def lock(self, share_id: str) -> Share:
        return _share(_one(await self.tx.run(_LOCK_SHARE, id=share_id), share_id))

    async def asked(self, merchant_id: str, mode: Mode, merchant_share_no: str) -> Share | None:
        found = await self.tx.read(_ASKED, merchant_id=merchant_id, mode=mode, merchant_share_no=merchant_share_no)
        return _share(found[0]) if found else None

    async def of_order(self, order_id: str) -> Sequence[Share]:
        return [_share(row) for row in await self.tx.read(_OF_ORDER, order_id=order_id)]

    async def add(self, share: Share) -> None:
        frozen = {
            "id": share.id,
            "order_id": share.order_id,
            "payment_id": share.payment_id,
            "merchant_id": share.merchant_id,
            "mode": share.mode,
            "account_id": share.account_id,
            "number": share.number,
            "transaction_id": share.transaction_id,
            "currency": share.currency,
            "ends": share.ends,
            "amount": sum(part.amount.minor for part in share.parts),
            "created_at": share.created_at,
            "merchant_share_no": share.merchant_share_no,
            "notify_url": share.notify_url,
        }
        await self.tx.write(_ADD_SHARE, [frozen | _share_moving(share)])
        await publish(self.tx, share.events)

    async def save(self, share: Share) -> None:
        await self.tx.write(_SAVE_SHARE, [_share_moving(share)], short=stale)
        await publish(self.tx, share.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Share]:
        claimed = [_share(row).polled(now) for row in await self.tx.run(_DUE_SHARES, now=now, limit=limit)]
        if claimed:
            await self.tx.write(_SAVE_SHARE, [_share_moving(share) for share in claimed], short=stale)
        return claimed


def _share(row: asyncpg.Record) -> Share:
    currency = row["currency"]
    return Share(
        id=row["id"],
        order_id=row["order_id"],
        payment_id=row["payment_id"],
        merchant_id=row["merchant_id"],
        mode=Mode(row["mode"]),
        account_id=row["account_id"],
        number=row["number"],
        transaction_id=row["transaction_id"],
        currency=currency,
        ends=row["ends"],
        created_at=row["created_at"],
        parts=tuple(
            Part(
                receiver_id=part["receiver_id"],
                kind=ReceiverKind(part["kind"]),
                account=part["account"],
                name=part["name"],
                amount=Money(part["amount"], currency),
                description=part["description"],
                platform_account_id=part["platform_account_id"],
                result=PartResult(part["result"]),
                reason=part["reason"],
                to_fee=Money(part["to_fee"], currency),
            )
            for part in row["parts"]
        ),
        merchant_share_no=row["merchant_share_no"],
        notify_url=row["notify_url"],
        status=ShareStatus(row["status"]),
        channel_id=row["channel_id"],
        failure=row["failure"],
        finished_at=row["finished_at"],
        next_at=row["next_at"],
        polls=row["polls"],
        revision=row["revision"],
    )


def _share_moving(share: Share) -> dict[str, Any]:
    moving = {name: getattr(share, name) for name in ("id", *_S_MOVING) if name != "parts"}
    parts = [
        {
            "receiver_id": part.receiver_id,
            "kind": part.kind,
            "account": part.account,
            "name": part.name,
            "amount": part.amount.minor,
            "description": part.description,
            "platform_account_id": part.platform_account_id,
            "result": part.result,
            "reason": part.reason,
            "to_fee": part.to_fee.minor,
        }
        for part in share.parts
    ]
    return moving | {"parts": parts}


# ── Returns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_t = tables.share_return
_T_FROZEN = [
    "id", "share_id", "refund_id", "order_id", "merchant_id", "mode", "account_id", "number", "share_number", "kind",
    "account", "amount", "from_fee", "currency", "platform_account_id", "with_refund", "created_at",
]  # fmt: skip
_T_MOVING = ["status", "failure", "returned_at", "revision"]
_ADD_RETURN = inserting("add_share_return", _t, [*_T_FROZEN, *_T_MOVING])
_SAVE_RETURN = updating("save_share_return", _t, _T_MOVING, revision=True)
_LOCK_RETURN = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_RETURNS_OF_ORDER = prepare(select(_t).where(_t.c.order_id == bindparam("id")).order_by(_t.c.created_at, _t.c.id))
_RETURNS_OF_REFUND = prepare(select(_t).where(_t.c.refund_id == bindparam("id")).order_by(_t.c.created_at, _t.c.id))


@dataclass(frozen=True, slots=True)
class SqlShareReturns:
    tx: Transaction

    async def lock(self, return_id: str) -> ShareReturn:
        return _return(_one(await self.tx.run(_LOCK_RETURN, id=return_id), return_id))

    async def of_order(self, order_id: str) -> Sequence[ShareReturn]:
        return [_return(row) for row in await self.tx.read(_RETURNS_OF_ORDER, id=order_id)]

    async def of_refund(self, refund_id: str) -> Sequence[ShareReturn]:
        return [_return(row) for row in await self.tx.read(_RETURNS_OF_REFUND, id=refund_id)]

    async def add(self, returned: ShareReturn) -> None:
        names = [name for name in _T_FROZEN if name not in ("amount", "from_fee", "currency")]
        amounts = {
            "amount": returned.amount.minor,
            "from_fee": returned.from_fee.minor,
            "currency": returned.amount.currency,
        }
        frozen = {name: getattr(returned, name) for name in names} | amounts
        await self.tx.write(_ADD_RETURN, [frozen | _return_moving(returned)])
        await publish(self.tx, returned.events)

    async def save(self, returned: ShareReturn) -> None:
        await self.tx.write(_SAVE_RETURN, [_return_moving(returned)], short=stale)
        await publish(self.tx, returned.events)


def _return(row: asyncpg.Record) -> ShareReturn:
    currency = row["currency"]
    return ShareReturn(
        id=row["id"],
        share_id=row["share_id"],
        refund_id=row["refund_id"],
        order_id=row["order_id"],
        merchant_id=row["merchant_id"],
        mode=Mode(row["mode"]),
        account_id=row["account_id"],
        number=row["number"],
        share_number=row["share_number"],
        kind=ReceiverKind(row["kind"]),
        account=row["account"],
        amount=Money(row["amount"], currency),
        from_fee=Money(row["from_fee"], currency),
        platform_account_id=row["platform_account_id"],
        with_refund=row["with_refund"],
        created_at=row["created_at"],
        status=ReturnStatus(row["status"]),
        failure=row["failure"],
        returned_at=row["returned_at"],
        revision=row["revision"],
    )


def _return_moving(returned: ShareReturn) -> dict[str, Any]:
    return {name: getattr(returned, name) for name in ("id", *_T_MOVING)}


def _one(found: Sequence[asyncpg.Record], what: str) -> asyncpg.Record:
    if not found:
        raise NotFound(f"no {what}")
    return found[0]
