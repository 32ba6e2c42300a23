"""A channel tells us something, signed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from application.confirm_attempt import BOOKED, Confirmation, ConfirmAttempt, Outcome
from application.confirm_payout import ConfirmPayout
from application.confirm_refund import ConfirmRefund
from application.crashpoints import crashpoint
from application.ports.channels import Channels, NoticeAnswer
from application.ports.storage import AlreadyExists, Moved, UnitOfWorkFactory
from application.ports.world import Clock, Hints, Ids
from application.recent import Recent
from domain.channels import Access, Channel, ChannelNotice
from domain.errors import DatabaseUnavailable, NotFound, NoticeRejected, OutcomeUnknown
from domain.kept_notices import KeptNotice, RefusedNotice


@dataclass(frozen=True, slots=True)
class NoticeHandled:
    """``answer`` is for the channel; ``outcome`` is for our log: an Outcome's value or a refusal's code."""

    answer: NoticeAnswer
    accepted: bool
    outcome: str
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiveNotice:
    """Verify with the keys of the account in the address, store, confirm, commit; and only then say success.

    A notice that we do not believe changes nothing, and is kept for a week, no more than so many an hour. One that is
    rightly signed but does not fit is stored as a mismatch and answered with success: repeating it could not mend it.
    One of a refund whose payment we have not heard of yet is not taken: the channel says it again.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    confirm: ConfirmAttempt
    confirm_refund: ConfirmRefund
    confirm_payout: ConfirmPayout
    clock: Clock
    hints: Hints
    ids: Ids
    recent: Recent[str, Access] = field(default_factory=Recent, init=False, repr=False, compare=False)

    async def __call__(
        self, channel: Channel, account_id: str, headers: Mapping[str, str], body: bytes
    ) -> NoticeHandled:
        access = await self.recent.get(account_id, self.clock.now(), self._access)
        if access is None or access.account.channel is not channel:
            raise NotFound("no such notice address")
        handled = await self._handle(access, headers, body, self.clock.now())
        if not handled.accepted and handled.outcome not in set(Outcome):
            await self._keep(access, headers, body, handled.outcome)
        return handled

    async def _handle(
        self, access: Access, headers: Mapping[str, str], body: bytes, now: datetime, *, reading: str = ""
    ) -> NoticeHandled:
        reader = self.channels[access.account.channel]
        try:
            notice = await self._read(access, headers, body, now)
        except NoticeRejected as refusal:
            return NoticeHandled(reader.answer(accepted=False), accepted=False, outcome=refusal.code)
        notice = replace(notice, id=notice.id + reading)
        try:
            # Whoever moves a refund locks it, and the order before it.
            confirmation = await self._take(access, notice, body, now, watching=notice.refund is None)
        except (AlreadyExists, Moved):
            confirmation = await self._take_after_all(access, notice, body, now)
        crashpoint("notice.after_commit")
        if confirmation.order_id is not None and confirmation.outcome is not Outcome.KNOWN:
            await self.hints.order_changed(confirmation.order_id)
            await self.hints.work("fan_out_events")
        if confirmation.outcome is Outcome.HELD:
            await self.hints.work("check_refunds")  # what came late or twice goes back by itself
        if confirmation.outcome is Outcome.PAYOUT:
            await self.hints.work("fan_out_events")
        accepted = confirmation.outcome is not Outcome.EARLY
        return NoticeHandled(
            reader.answer(accepted=accepted),
            accepted=accepted,
            outcome=confirmation.outcome,
            order_id=confirmation.order_id,
        )

    async def again(self, kept: KeptNotice) -> NoticeHandled:
        """Verify and take it once more, by what we know now and as of the time it came. Its outcome is a row of its own
        in the inbox, under the notice's id and a mark: what was written before stays as it was."""
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(kept.account_id)
        return await self._handle(access, kept.headers, kept.body, kept.received_at, reading=self._reading())

    def _reading(self) -> str:
        return f"#{self.ids.new('rdg')}"

    async def _keep(self, access: Access, headers: Mapping[str, str], body: bytes, reason: str) -> None:
        """For whoever mends what was wrong with us. That it cannot be kept is no reason to answer otherwise."""
        refused = RefusedNotice.of(
            access.account.channel,
            access.account.id,
            headers,
            body,
            id=self.ids.new("ntc"),
            reason=reason,
            now=self.clock.now(),
        )
        with suppress(DatabaseUnavailable, OutcomeUnknown):
            async with self.unit_of_work() as uow:
                await uow.notices.refuse(refused)

    async def _read(self, access: Access, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """By the credential's keys, or, for a while after a rotation, by those before: the channel may have signed it
        for them, and repeats a notice for a day."""
        reader = self.channels[access.account.channel]
        try:
            return await reader.read(access, headers, body, now=now)
        except NoticeRejected:
            earlier = access.credential.earlier(now)
            if earlier is None:
                raise
            return await reader.read(replace(access, credential=earlier), headers, body, now=now)

    async def _access(self, account_id: str) -> Access:
        async with self.unit_of_work() as uow:
            return await uow.accounts.access(account_id)

    async def _take_after_all(
        self, access: Access, notice: ChannelNotice, body: bytes, received_at: datetime
    ) -> Confirmation:
        """Somebody moved the same order at this moment, or recorded the same transaction: now we will see it. Or the
        notice came before and did not fit then: what it books now needs evidence that says so."""
        try:
            return await self._take(access, notice, body, received_at, watching=False)
        except AlreadyExists as taken:
            if taken.constraint != "pk_notice":
                raise
        notice = replace(notice, id=notice.id + self._reading())
        return await self._take(access, notice, body, received_at, watching=False)

    async def _take(
        self, access: Access, notice: ChannelNotice, body: bytes, received_at: datetime, *, watching: bool
    ) -> Confirmation:
        evidence = f"notice:{notice.id}"
        async with self.unit_of_work() as uow:
            confirmation, refund = Confirmation(Outcome.NOTHING), None
            if notice.report is not None:
                confirmation = await self.confirm(uow, access, notice.report, evidence=evidence, watching=watching)
            if notice.refund is not None:
                refund = await self.confirm_refund(uow, access, notice.refund, evidence=evidence)
                # Money that came by the same notice is what its row must name.
                if confirmation.outcome not in (Outcome.CONFIRMED, Outcome.HELD):
                    confirmation = refund
            if notice.payout is not None:
                confirmation = await self.confirm_payout(uow, access, notice.payout)
            if confirmation.outcome is not Outcome.EARLY:
                await uow.notices.add(
                    access.account.id,
                    notice,
                    body=body,
                    outcome=confirmation.outcome,
                    received_at=received_at,
                    fresh=confirmation.outcome in BOOKED,
                )
            crashpoint("notice.before_commit")
        return refund if refund is not None and refund.outcome is Outcome.EARLY else confirmation
