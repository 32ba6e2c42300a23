"""Bills of a channel in memory: what the test puts there is what the day brings."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import IO, Any

from domain.channels import Access
from domain.errors import BillInvalid, ChannelError
from domain.money import Money
from domain.statements import FundLine, Line, LineKind, Lines, LineStatus, Movement, StatementKind

Bill = Sequence[Line] | Sequence[FundLine] | ChannelError | bytes | None


@dataclass
class FakeStatements:
    """Statements of one channel. None is the channel's word that there is no bill; an error is raised; bytes come as
    they are. What was not put there is None."""

    funds: tuple[str, ...] = ()
    bills: dict[tuple[str, StatementKind, date, str], Bill] = field(default_factory=dict)

    def publish(self, account_id: str, day: date, bill: Bill, *, fund: str = "") -> None:
        kind = StatementKind.FUND if fund else StatementKind.TRADE
        self.bills[account_id, kind, day, fund] = bill

    async def fetch(
        self, access: Access, kind: StatementKind, day: date, into: IO[bytes], *, fund: str = "BASIC"
    ) -> bool:
        bill = self.bills.get((access.account.id, kind, day, fund))
        if isinstance(bill, ChannelError):
            raise bill
        if bill is None:
            return False
        into.write(bill if isinstance(bill, bytes) else written(bill))
        return True

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        for n, row in _rows(source):
            currency = row.pop("currency")
            line = Line(
                **row
                | {
                    "n": n,
                    "day": date.fromisoformat(row["day"]),
                    "kind": LineKind(row["kind"]),
                    "total": Money(row["total"], currency),
                    "received": Money(row["received"], currency),
                    "status": LineStatus(row["status"]),
                    "at": datetime.fromisoformat(row["at"]),
                }
            )
            yield Lines(line.day, [line])

    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        for n, row in _rows(source):
            moved = {"n": n, "movement": Movement(row["movement"]), "at": datetime.fromisoformat(row["at"])}
            yield FundLine(**row | moved)


def written(bill: Sequence[Line] | Sequence[FundLine]) -> bytes:
    """The bill as a file: a JSON object a line."""
    return b"".join(json.dumps(_plain(line), default=str).encode() + b"\n" for line in bill)


def _plain(line: Line | FundLine) -> dict[str, Any]:
    row: dict[str, Any] = line._asdict() if isinstance(line, Line) else asdict(line)
    if isinstance(line, Line):
        row |= {"total": line.total.minor, "received": line.received.minor, "currency": line.received.currency}
    return row


def _rows(source: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for n, text in enumerate(source, start=1):
        try:
            yield n, json.loads(text)
        except ValueError:
            raise BillInvalid("not a line of this channel", line=n) from None
