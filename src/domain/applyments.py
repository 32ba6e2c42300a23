"""A merchant's application to become a sub-merchant of a service provider (特约商户进件), as the channel decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Method, Mode
from domain.errors import Conflict, InvalidRequest
from domain.states import Table, step
from domain.times import rfc3339, rung


class ApplymentStatus(StrEnum):
    SUBMITTING = "submitting"  # the channel is being told; it may have heard us
    EDITING = "editing"  # it could not take it: submit again
    AUDITING = "auditing"
    REJECTED = "rejected"
    TO_BE_CONFIRMED = "to_be_confirmed"  # the merchant has its bank account verified
    TO_BE_SIGNED = "to_be_signed"  # the merchant's administrator opens the sign_url
    SIGNING = "signing"  # signed; permissions are being opened
    FINISHED = "finished"
    CANCELED = "canceled"


_S = ApplymentStatus
_WITH_THE_CHANNEL = frozenset(
    {_S.EDITING, _S.AUDITING, _S.REJECTED, _S.TO_BE_CONFIRMED, _S.TO_BE_SIGNED, _S.SIGNING, _S.FINISHED, _S.CANCELED}
)
# While it is there, it moves as people at the channel and at the merchant do, in any order.
APPLYMENT_TRANSITIONS: Table[ApplymentStatus] = {
    _S.SUBMITTING: _WITH_THE_CHANNEL,
    _S.EDITING: _WITH_THE_CHANNEL - {_S.EDITING} | {_S.SUBMITTING},
    _S.AUDITING: _WITH_THE_CHANNEL - {_S.AUDITING},
    _S.REJECTED: _WITH_THE_CHANNEL - {_S.REJECTED} | {_S.SUBMITTING},
    _S.TO_BE_CONFIRMED: _WITH_THE_CHANNEL - {_S.TO_BE_CONFIRMED},
    _S.TO_BE_SIGNED: _WITH_THE_CHANNEL - {_S.TO_BE_SIGNED},
    _S.SIGNING: _WITH_THE_CHANNEL - {_S.SIGNING},
    _S.FINISHED: frozenset(),
    _S.CANCELED: frozenset(),
}
AMENDABLE = frozenset({_S.EDITING, _S.REJECTED})
ENDED = frozenset({_S.FINISHED, _S.CANCELED})
# Seconds between one look and the next, then every hour: people decide.
LADDER = (30, 60, 300, 900)
TAIL = timedelta(hours=1)

_SECTIONS = frozenset({"contact_info", "subject_info", "business_info", "settlement_info", "bank_account_info"})
_OPTIONAL = frozenset({"addition_info"})
_NEEDED = (
    ("subject_info", "identity_info"),
    ("bank_account_info", "account_name"),
    ("bank_account_info", "account_number"),
)
Form = Mapping[str, Mapping[str, Any]]


def check_form(form: Form) -> None:
    """Raises InvalidRequest for a form that the channel could not even read. What it wants in it, it says itself."""
    for section in (_SECTIONS - form.keys()) | (form.keys() - _SECTIONS - _OPTIONAL):
        raise InvalidRequest(f"{section[:40]!r} is missing or unknown", code="applyment_form", pointer="/form")
    for section, name in _NEEDED:
        if not form[section].get(name):
            raise InvalidRequest(f"{name} is missing", code="applyment_form", pointer=f"/form/{section}/{name}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """What the channel does not like about one field."""

    field: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplymentReport:
    """What the channel says of an application; ``status`` None: it has none under this code."""

    status: ApplymentStatus | None
    channel_id: str | None = None
    sub_mchid: str | None = None
    sign_url: str | None = None
    rejections: Sequence[Rejection] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applyment:
    """``code`` is what the channel knows it by: submitting again under it amends the application. ``sealed`` is the
    form, kept until the channel has it and no longer. Once finished, ``account_id`` is the account made from it."""

    id: str
    merchant_id: str
    mode: Mode
    credential_id: str
    code: str
    methods: frozenset[Method]
    created_at: datetime
    sealed: bytes = field(default=b"", repr=False)
    status: ApplymentStatus = ApplymentStatus.SUBMITTING
    channel_id: str | None = None
    sub_mchid: str | None = None
    sign_url: str | None = None
    rejections: Sequence[Rejection] = ()
    account_id: str | None = None
    next_at: datetime | None = None
    polls: int = 0

    def amended(self, sealed: bytes, now: datetime) -> Self:
        """Another form under the same code. Raises Conflict unless the channel has sent it back."""
        if self.status not in AMENDABLE:
            raise Conflict(f"this application is {self.status}", code="applyment_not_amendable")
        return replace(self._to(ApplymentStatus.SUBMITTING), sealed=sealed, polls=0, rejections=(), next_at=now)

    def told(self, report: ApplymentReport) -> Self:
        """As the channel has it now; the form is forgotten."""
        assert report.status is not None
        known = replace(
            self,
            channel_id=report.channel_id or self.channel_id,
            sub_mchid=report.sub_mchid or self.sub_mchid,
            sign_url=report.sign_url or self.sign_url,
            rejections=tuple(report.rejections),
            sealed=b"",
        )
        if report.status in ENDED:
            known = replace(known, next_at=None, sign_url=None)
        return known if report.status is self.status else known._to(report.status)

    def refused(self, reason: str) -> Self:
        """The channel does not take the form as it is: to be amended."""
        return self.told(ApplymentReport(status=ApplymentStatus.REJECTED, rejections=(Rejection("", "", reason),)))

    def opened(self, account_id: str) -> Self:
        return replace(self, account_id=account_id)

    def polled(self, now: datetime) -> Self:
        """The next rung, taken before the channel is asked."""
        return replace(self, polls=self.polls + 1, next_at=now + rung(LADDER, self.polls, TAIL))

    def snapshot(self) -> dict[str, Any]:
        """As operators see it: nothing of the form."""
        return {
            "id": self.id,
            "object": "applyment",
            "merchant_id": self.merchant_id,
            "mode": str(self.mode),
            "credential_id": self.credential_id,
            "code": self.code,
            "methods": sorted(self.methods),
            "status": str(self.status),
            "channel_id": self.channel_id,
            "sub_mchid": self.sub_mchid,
            "sign_url": self.sign_url,
            "rejections": [{"field": one.field, "name": one.name, "reason": one.reason} for one in self.rejections],
            "account_id": self.account_id,
            "created_at": rfc3339(self.created_at),
        }

    def _to(self, status: ApplymentStatus) -> Self:
        return replace(self, status=step("applyment", APPLYMENT_TRANSITIONS, self.status, status))
