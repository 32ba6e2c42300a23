"""The checkers of what is released and settled, on the fakes' rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from domain.ledger import Account, Transfer
from domain.settlements import Settlement
from tests.fakes.rows import Tables

_GONE, _BACK = ("paid", "bounced"), ("rejected", "failed", "cancelled")


def settled_once(tables: Tables) -> Iterator[Mapping[str, Any]]:
    """M7."""
    yield from _inside(tables)
    legs = [leg for row in tables.transfers.committed.values() for leg in _legs(row.transfer)]
    open_, balances = Counter[Any](), Counter[Any]()
    for line in tables.available_lines.committed.values():
        open_[line.account] += line.amount if line.settlement_id is None else 0
    booked = Counter[tuple[str, str]]()
    for transfer, account, amount in legs:
        balances[account] += amount if account.kind == "MA" else 0
        if transfer.fact.startswith(("settlement_", "payout_")):
            booked[transfer.about, account.kind] += amount
    for account in set(balances) | set(open_):
        if balances[account] != open_[account]:
            yield {"what": "open transfers are not the balance", "owner": account.owner}
    for settlement in tables.settlements.committed.values():
        wrong = [kind for kind, due in _due(settlement).items() if booked[settlement.id, kind] != due]
        yield from ({"what": "booked amiss", "id": settlement.id, "kind": kind} for kind in wrong)


def _inside(tables: Tables) -> Iterator[Mapping[str, Any]]:
    inside: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for line in tables.available_lines.committed.values():
        if line.settlement_id is not None:
            fact = tables.transfers.committed[line.idem_key].transfer.fact
            inside[line.settlement_id].append((fact, line.amount))
    for settlement in tables.settlements.committed.values():
        swept = [amount for fact, amount in inside[settlement.id] if fact != "settlement_created"]
        rest = sum(amount for _, amount in inside[settlement.id])
        if (sum(swept), len(swept), rest) != (settlement.swept.minor, settlement.lines, 0):
            yield {"what": "not what is inside", "id": settlement.id}


def _legs(transfer: Transfer) -> Iterator[tuple[Transfer, Account, int]]:
    yield transfer, transfer.credit, transfer.amount.minor
    yield transfer, transfer.debit, -transfer.amount.minor


def _due(settlement: Settlement) -> Mapping[str, int]:
    gone, back = settlement.status in _GONE, settlement.status in _BACK
    left = -settlement.fee.minor if settlement.status == "bounced" else 0 if back else -settlement.amount.minor
    return {
        "MS": 0 if gone or back else settlement.amount.minor,
        "MA": left,
        "FI": settlement.fee.minor if gone else 0,
    }


def released_when_due(tables: Tables) -> Iterator[Mapping[str, Any]]:
    """R3."""
    moved: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for row in tables.transfers.committed.values():
        transfer = row.transfer
        if transfer.fact == "released":
            moved[transfer.about] += transfer.amount.minor if transfer.credit.kind == "MA" else -transfer.amount.minor
            times[transfer.about] += 1
    releases = tables.releases.committed
    for payment_id in set(moved) | {str(key) for key in releases}:
        release = releases.get(payment_id)
        if release is None or (release.released, release.times) != (moved[payment_id], times[payment_id]):
            yield {"what": "not what was released", "id": payment_id}
            continue
        day = tables.days.committed.get((release.account_id, release.day))
        if (release.times or release.released_at) and (day is None or day.closed_by is None):
            yield {"what": "released before its day was closed", "id": payment_id}
        own = [each for each in tables.refunds.committed.values() if each.payment_id == payment_id and not each.void]
        left = release.net.minor - sum(each.draws.pending.minor for each in own)
        at_rest = release.released_at is not None and release.next_at is None
        if release.released > release.net.minor or (at_rest and release.released != left):
            yield {"what": "released more or less than it brought", "id": payment_id}
