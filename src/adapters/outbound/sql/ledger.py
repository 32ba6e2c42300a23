"""The ledger as rows: append-only, posted once by key; a balance is a snapshot and the rows behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import BigInteger, Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.balances import BALANCES, LOCK, ONE_AT_A_TIME, ROLL_UP
from adapters.outbound.sql.failures import LedgerConflict
from adapters.outbound.sql.statements import Row, inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Mode
from domain.ledger import GUARDED, Account, AccountKind, Transfer
from domain.money import Money
from domain.settlement_postings import AvailableLine, available_line

_t = tables.transfer
_COLUMNS = [
    "idem_key", "fact", "debit_account", "credit_account", "amount", "currency", "mode", "about", "channel_date",
]  # fmt: skip
_POST = inserting("post", _t, _COLUMNS, ignoring=["idem_key"], returning=["idem_key"])
_OPEN_LINE = inserting(
    "open_line",
    tables.settlement_transfer,
    ["idem_key", "account_id", "amount", "settlement_id"],
    ignoring=["idem_key"],
)
_POSTED = prepare(
    select(*(_t.c[name] for name in _COLUMNS)).where(_t.c.idem_key == bindparam("keys", type_=ARRAY(Text)).any_())
)
_debit, _credit = tables.ledger_account.alias("debit"), tables.ledger_account.alias("credit")
_ACCOUNT = ["kind", "owner", "fund", "mode", "currency"]
_ABOUT = prepare(
    select(
        *(_t.c[name] for name in _COLUMNS),
        *(_debit.c[name].label(f"debit_{name}") for name in _ACCOUNT),
        *(_credit.c[name].label(f"credit_{name}") for name in _ACCOUNT),
    )
    .join(_debit, _debit.c.id == _t.c.debit_account)
    .join(_credit, _credit.c.id == _t.c.credit_account)
    .where(_t.c.about == bindparam("about"))
    .order_by(_t.c.id)
)
_OPEN_ACCOUNT = inserting("open_account", tables.ledger_account, ["id", *_ACCOUNT], ignoring=["id"])
_IDENTITIES = prepare(
    select(tables.ledger_account).where(tables.ledger_account.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_())
)
_OPEN_GUARD = inserting("open_guard", tables.account_guard, ["account_id"], ignoring=["account_id"])
_LOCK_GUARDS = prepare(
    select(tables.account_guard)
    .where(tables.account_guard.c.account_id == bindparam("ids", type_=ARRAY(BigInteger)).any_())
    .order_by(tables.account_guard.c.account_id)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class SqlLedger:
    """``known`` are the accounts that this process has seen committed; ``used`` those that this unit opens."""

    tx: Transaction
    known: set[int]
    used: set[int]

    async def post(self, transfers: Sequence[Transfer]) -> None:
        """Raises LedgerConflict when another transfer stands under a key, at the latest at the end of the unit."""
        if not transfers:
            return
        await self._guard({transfer.debit.id for transfer in transfers if transfer.debit.kind in GUARDED})
        await self._open({account.id: account for t in transfers for account in (t.debit, t.credit)})
        await self.tx.write(_POST, [_row(transfer) for transfer in transfers], key="idem_key", short=self._compare)
        lines = [line for transfer in transfers if (line := available_line(transfer)) is not None]
        if lines:
            await self.tx.write(_OPEN_LINE, [_line_row(line) for line in lines], key="idem_key")

    async def guard(self, *accounts: Account) -> None:
        await self._guard({account.id for account in accounts})

    async def about(self, object_id: str) -> Sequence[Transfer]:
        return [_transfer_of(found) for found in await self.tx.read(_ABOUT, about=object_id)]

    async def balance(self, account: Account) -> int:
        (found,) = await self.tx.read(BALANCES, accounts=[account.id])
        return int(found["balance"])

    async def roll_up(self, *, limit: int) -> int:
        # A statement of its own: what rolls up sees what whoever held the lock before has committed.
        await self.tx.run(LOCK, key=ONE_AT_A_TIME)
        (found,) = await self.tx.run(ROLL_UP, limit=limit)
        return int(found["rows"])

    async def _guard(self, ids: set[int]) -> None:
        # Whatever lowers a guarded account holds its guard row to the end, so a balance read from here on only rises.
        if ids:
            await self.tx.write(_OPEN_GUARD, [{"account_id": id_} for id_ in sorted(ids)], key="account_id")
            await self.tx.run(_LOCK_GUARDS, ids=list(ids))

    async def _open(self, accounts: dict[int, Account]) -> None:
        new = sorted(accounts.keys() - self.known - self.used)  # sorted: two openers never wait for each other
        if new:
            rows = [_account_row(accounts[id_]) for id_ in new]
            await self.tx.write(_OPEN_ACCOUNT, rows)
            # Once an account and process: an id that stands for another account must not be booked to.
            for found in await self.tx.read(_IDENTITIES, ids=new):
                if dict(found) not in rows:
                    raise LedgerConflict(f"two accounts share the id {found['id']}")
            self.used.update(new)

    async def _compare(self, rows: Sequence[Row]) -> None:
        posted = {
            found["idem_key"]: dict(found) for found in await self.tx.read(_POSTED, keys=[r["idem_key"] for r in rows])
        }
        for row in rows:
            if posted.get(row["idem_key"]) != dict(row):
                raise LedgerConflict(f"another transfer stands under {row['idem_key']}")


def _row(transfer: Transfer) -> Row:
    return {
        "idem_key": transfer.idem_key,
        "fact": transfer.fact,
        "debit_account": transfer.debit.id,
        "credit_account": transfer.credit.id,
        "amount": transfer.amount.minor,
        "currency": transfer.amount.currency,
        "mode": transfer.debit.mode,
        "about": transfer.about,
        "channel_date": transfer.channel_date,
    }


def _line_row(line: AvailableLine) -> Row:
    return {
        "idem_key": line.idem_key,
        "account_id": line.account.id,
        "amount": line.amount,
        "settlement_id": line.settlement_id,
    }


def _transfer_of(found: asyncpg.Record) -> Transfer:
    return Transfer(
        idem_key=found["idem_key"],
        fact=found["fact"],
        debit=_account_of(found, "debit"),
        credit=_account_of(found, "credit"),
        amount=Money(found["amount"], found["currency"]),
        about=found["about"],
        channel_date=found["channel_date"],
    )


def _account_of(found: asyncpg.Record, end: str) -> Account:
    return Account(
        kind=AccountKind(found[f"{end}_kind"]),
        owner=found[f"{end}_owner"],
        mode=Mode(found[f"{end}_mode"]),
        currency=found[f"{end}_currency"],
        fund=found[f"{end}_fund"],
    )


def _account_row(account: Account) -> Row:
    return {
        "id": account.id,
        "kind": account.kind,
        "owner": account.owner,
        "fund": account.fund,
        "mode": account.mode,
        "currency": account.currency,
    }
