"""A till has scanned the payer's bar code (付款码): take the money in one call, or leave it to the ladder."""

from dataclasses import dataclass, replace

from application.confirm_attempt import ConfirmAttempt
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints
from domain.attempts import Attempt, AttemptStatus
from domain.channels import Access, ChannelReport, ChannelState, Opening
from domain.errors import ChannelRejected, ChannelUnavailable, InProgress, OutcomeUnknown
from domain.routing import failure


@dataclass(frozen=True, slots=True)
class ChargeBarcode:
    """Charge a new attempt, once: the code is good for one try, and whoever repeats the call gets the same attempt.

    Returns the attempt as it stands then: succeeded, or undecided (the payer enters a password, or no answer came);
    CheckDueAttempts brings what is undecided to its end. Raises ChannelRejected and ChannelUnavailable after the
    attempt has failed, InProgress while another call is charging it.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    confirm: ConfirmAttempt
    clock: Clock
    hints: Hints

    async def __call__(self, access: Access, attempt: Attempt, opening: Opening, *, fresh: bool) -> Attempt:
        if not fresh:
            if attempt.charging(self.clock.now()):
                raise InProgress("this order is being charged at this moment")
            return attempt
        try:
            report = await self.channels[access.account.channel].charge(access, opening)
        except (ChannelRejected, ChannelUnavailable) as no:
            await self._failed(attempt, failure(no))
            raise
        except OutcomeUnknown:
            return await self._undecided(attempt, None)
        crashpoint("charge.after_channel")
        return await self._undecided(attempt, report)

    async def _undecided(self, charged: Attempt, report: ChannelReport | None) -> Attempt:
        """Store what the channel has said, if it has, and return the attempt as it stands then."""
        async with self.unit_of_work() as uow:
            if report is not None and report.state not in (ChannelState.PENDING, ChannelState.ABSENT):
                access = await uow.accounts.access(charged.account_id)
                await self.confirm(uow, access, report, evidence=f"query:{charged.id}")
            else:
                attempt, now = await uow.attempts.lock(charged.id), self.clock.now()
                await uow.attempts.save(attempt.doubted(now) if report is None else attempt.waiting(now))
        crashpoint("charge.after_stored")
        await self.hints.order_changed(charged.order_id)
        await self.hints.work("fan_out_events")
        return await self._now(charged)

    async def _failed(self, attempt: Attempt, reason: str) -> None:
        async with self.unit_of_work() as uow:
            attempt = await uow.attempts.lock(attempt.id)
            if attempt.status is AttemptStatus.CREATED:
                await uow.attempts.save(attempt.failed(reason, self.clock.now()))
        await self.hints.work("fan_out_events")

    async def _now(self, attempt: Attempt) -> Attempt:
        async with self.unit_of_work() as uow:
            return replace(await uow.attempts.get(attempt.id), events=())
