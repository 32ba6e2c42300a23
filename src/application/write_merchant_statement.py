"""A merchant's statement as CSV: opening balances, what moved, totals, closing balances; every line has all columns."""

import hashlib
from dataclasses import replace
from typing import IO

from application.csv_lines import BOM, amount, line, text, time
from application.ports.merchant_statements import MerchantStatements
from domain.merchant_statements import BALANCES, Entry, MerchantStatement
from domain.money import CNY

COLUMNS = (
    *("type", "time", "object_id", "order_id", "merchant_order_no", "merchant_refund_no", "method"),
    *("transaction_id", "channel_time", "amount", "fee", *BALANCES, "currency"),
)
# The last line of a statement that is not final; a final one ends with its closing balances.
PROVISIONAL = "provisional"


async def write_merchant_statement(
    statements: MerchantStatements, statement: MerchantStatement, into: IO[bytes], *, final: bool
) -> MerchantStatement:
    """Write it, from one snapshot, and return it with its hash, size and number of entries.

    In every column of balances the opening plus all entries is the closing; ``total`` says the sum of the entries.
    """
    digest, size, count = hashlib.sha256(), 0, 0
    opening = total = Entry(type="total", balances=(0,) * len(BALANCES), amount=0, fee=0)

    def put(piece: str) -> None:
        nonlocal size
        content = piece.encode()
        digest.update(content)
        size += len(content)
        into.write(content)

    put(BOM + line(COLUMNS))
    async for batch in statements.entries(statement):
        put("".join(map(_line, batch)))
        for entry in batch:
            if entry.type == "opening":
                opening = entry
            else:
                count += 1
                total = _added(total, entry)
    closing = tuple(before + moved for before, moved in zip(opening.balances, total.balances, strict=True))
    put(_line(total) + _line(Entry(type="closing", balances=closing)))
    if not final:
        put(_line(Entry(type=PROVISIONAL, balances=closing)))
    return replace(statement, sha256=digest.hexdigest(), size=size, entries=count)


def _added(total: Entry, entry: Entry) -> Entry:
    return replace(
        total,
        balances=tuple(map(sum, zip(total.balances, entry.balances, strict=True))),
        amount=(total.amount or 0) + (entry.amount or 0),
        fee=(total.fee or 0) + (entry.fee or 0),
    )


def _line(entry: Entry) -> str:
    words = (entry.object_id, entry.order_id, entry.merchant_order_no, entry.merchant_refund_no, entry.method)
    return line(
        (
            entry.type,
            time(entry.at),
            *map(text, words),
            text(entry.transaction_id),
            time(entry.channel_time),
            amount(entry.amount),
            amount(entry.fee),
            *map(amount, entry.balances),
            CNY,
        )
    )
