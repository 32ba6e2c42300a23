"""/admin/v1/closings: the trial balance of a closed ledger day."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.views import Time
from domain.channels import Mode
from domain.errors import InvalidRequest
from domain.times import rfc3339

_Day = Annotated[str, Meta(description="The day in Shanghai.", examples=["2026-11-01"])]


def _fen(about: str) -> Meta:
    return Meta(description=f"{about}, credits minus debits, in minor units.", examples=[1990])


class PositionView(msgspec.Struct, kw_only=True):
    """What the accounts of one kind did on the day: opening + credits − debits = closing."""

    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["live"])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    kind: Annotated[str, Meta(description="As the books name it.", examples=["MA"])]
    opening: Annotated[int, _fen("What they held before")]
    debits: Annotated[int, Meta(ge=0, description="All that was taken, in minor units.", examples=[0])]
    credits: Annotated[int, Meta(ge=0, description="All that was added, in minor units.", examples=[0])]
    closing: Annotated[int, _fen("What they hold after")]


class ClosingView(msgspec.Struct, kw_only=True):
    """A closed day and its trial balance (试算平衡)."""

    day: _Day
    transfers: Annotated[int, Meta(ge=0, description="How many were posted.", examples=[1990])]
    digest: Annotated[str, Meta(description="The day's root, as it was exported.", examples=["9f86d081884c7d65"])]
    closed_at: Time
    balanced: Annotated[bool, Meta(description="Whether its debits are its credits in each currency.", examples=[True])]
    data: Annotated[list[PositionView], Meta(description="By mode, currency and kind.")]


@get(
    "/closings/{day:str}",
    summary="Get a closed day's trial balance",
    operation_id="getClosing",
    tags=["Accounts"],
    opt=needs("ledger.read"),
)
async def get_closing(day: FromPath[str], admin: Admin) -> ClosingView:
    """404 for a day that is not closed. `pitaya ledger verify` proves all of them from the ledger's rows."""
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise InvalidRequest("a day is written as 2026-11-01", code="day_invalid", pointer="/day") from None
    closing, trial = await admin.view_closing(wanted)
    return ClosingView(
        day=str(closing.day),
        transfers=closing.transfers,
        digest=closing.digest.hex(),
        closed_at=rfc3339(closing.closed_at),
        balanced=sum(row.credits - row.debits for row in trial) == 0,
        data=[msgspec.convert(row, PositionView, from_attributes=True) for row in trial],
    )


HANDLERS = [get_closing]
