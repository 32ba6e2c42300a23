"""The checker of what is shared, on the fakes' rows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from domain.share_returns import ReturnStatus
from domain.shares import ShareStatus
from domain.sharing import PartResult
from tests.fakes.rows import Tables

_Legs = Counter[tuple[str, str, str]]  # what it is about, kind and owner of the account


def shared_as_told(tables: Tables) -> Iterator[Mapping[str, Any]]:
    """M13."""
    due, booked = _Legs(), _Legs()
    shares, returns = tables.shares.committed.values(), tables.share_returns.committed.values()
    for share in shares:
        for part in share.parts if share.status is ShareStatus.FINISHED else ():
            if part.result is PartResult.SUCCEEDED:
                whose = (share.id, share.merchant_id, share.account_id, part.platform_account_id)
                _add(due, whose, part.amount.minor, part.to_fee.minor)
    for one in returns:
        if one.status is ReturnStatus.SUCCEEDED:
            whose = (one.id, one.merchant_id, one.account_id, one.platform_account_id)
            _add(due, whose, -one.amount.minor, -one.from_fee.minor)
    for transfer in (row.transfer for row in tables.transfers.committed.values()):
        if transfer.about.startswith(("shr_", "srt_")):
            booked[transfer.about, transfer.credit.kind, transfer.credit.owner] += transfer.amount.minor
            booked[transfer.about, transfer.debit.kind, transfer.debit.owner] -= transfer.amount.minor
    for key in sorted({*due, *booked}):
        if due[key] != booked[key]:
            yield {"what": "booked amiss", "id": key[0], "account": key[1:]}
    yield from _too_much(tables)


def _add(due: _Legs, whose: tuple[str, str, str, str | None], amount: int, fee: int) -> None:
    id_, merchant_id, account_id, platform = whose
    due[id_, "DO", merchant_id] -= amount
    due[id_, "DH", account_id] += amount
    if platform is not None:
        due[id_, "CR", platform] -= amount
        due[id_, "SFD", merchant_id] += fee
        due[id_, "FI", "platform"] += amount - fee


def _too_much(tables: Tables) -> Iterator[Mapping[str, Any]]:
    back, out = Counter[tuple[str, str]](), Counter[str]()
    for one in tables.share_returns.committed.values():
        back[one.share_id, one.account] += one.amount.minor if one.stands else 0
    for share in tables.shares.committed.values():
        out[share.payment_id] += share.standing
        for part in share.parts:
            returned = back[share.id, part.account]
            out[share.payment_id] -= returned
            if returned > (part.amount.minor if part.result is PartResult.SUCCEEDED else 0):
                yield {"what": "more came back than was shared", "id": share.id, "account": part.account}
    for payment in tables.payments.committed.values():
        if out[payment.id] > payment.received.minor:
            yield {"what": "shared more than it brought", "id": payment.id}
