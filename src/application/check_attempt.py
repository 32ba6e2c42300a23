"""Ask the channel what became of an attempt, and believe its answer."""

from contextlib import suppress
from dataclasses import dataclass

from application.confirm_attempt import Confirmation, ConfirmAttempt, Outcome
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints
from domain.attempts import Attempt
from domain.channels import ChannelReport, ChannelState
from domain.errors import ChannelRejected
from domain.orders import OrderStatus


@dataclass(frozen=True, slots=True)
class CheckAttempt:
    """Query one attempt at its channel and confirm what it says. Raises ChannelError when it says nothing usable.

    One that still waits although nobody shall pay it any more (its time is up, or its order has its end) is closed
    first: WeChat Pay keeps it open until somebody does.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    confirm: ConfirmAttempt
    clock: Clock
    hints: Hints

    async def __call__(self, attempt: Attempt) -> ChannelReport:
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(attempt.account_id)
            order = await uow.orders.get(attempt.order_id)
        channel = self.channels[access.account.channel]
        asked_at = self.clock.now()  # before the question: an answer that was long on its way is as old as that
        report = await channel.query(access, attempt.number)
        crashpoint("poll.queried")
        expired = asked_at >= attempt.expires_at
        over = expired or order.status is not OrderStatus.PENDING
        if report.state is ChannelState.PENDING and over and not attempt.method.is_barcode:
            with suppress(ChannelRejected):
                await channel.close(access, attempt.number)
            report = await channel.query(access, attempt.number)
        if report.state is ChannelState.ABSENT and expired:
            # Every opening carried the expiry: what the channel does not know by now, nobody can pay any more.
            report = ChannelReport(report.number, ChannelState.CLOSED)
        if report.state in (ChannelState.PENDING, ChannelState.ABSENT):
            return report
        async with self.unit_of_work() as uow:
            confirmation = await self.confirm(uow, access, report, evidence=f"query:{attempt.id}")
        await self._tell(confirmation)
        return report

    async def _tell(self, confirmation: Confirmation) -> None:
        if confirmation.order_id is not None and confirmation.outcome in (Outcome.CONFIRMED, Outcome.HELD):
            await self.hints.order_changed(confirmation.order_id)
            await self.hints.work("fan_out_events")
        if confirmation.outcome is Outcome.HELD:
            await self.hints.work("check_refunds")
