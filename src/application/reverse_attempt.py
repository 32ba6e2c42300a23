"""A bar code payment that hangs is undone (撤销), whatever became of it, and not left alone until that is certain."""

from dataclasses import dataclass

from application.confirm_attempt import ConfirmAttempt
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Hints
from domain.attempts import Attempt, AttemptStatus
from domain.bookkeeping import payment_reversed
from domain.channels import Access, ChannelState
from domain.errors import ChannelRejected, InProgress, OutcomeUnknown
from domain.payments import SuspenseStatus, Unattributed


@dataclass(frozen=True, slots=True)
class ReverseAttempt:
    """Commit to undoing it, call the channel, store its word. Repeated with the same number it is harmless.

    From the commitment on, money that comes by this attempt goes back: it is booked to suspense, and out of it when
    the channel has undone the payment. Returns CLOSED when it is undone, PAID when it stands. Raises InProgress
    while the charge may be on its way, ChannelError while the channel cannot say: the attempt stays due, and this is
    repeated.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    confirm: ConfirmAttempt
    clock: Clock
    hints: Hints

    async def __call__(self, attempt: Attempt) -> ChannelState:
        access, attempt = await self._commit_to_it(attempt)
        if attempt.status is not AttemptStatus.REVERSING:
            return ChannelState.PAID if attempt.status is AttemptStatus.SUCCEEDED else ChannelState.CLOSED
        channel = self.channels[access.account.channel]
        crashpoint("reverse.before_channel")
        try:
            await channel.reverse(access, attempt.number)
        except ChannelRejected as refusal:
            report = await channel.query(access, attempt.number)
            if report.state is ChannelState.PENDING:
                raise OutcomeUnknown(f"neither undone nor paid: {refusal}") from refusal
            if report.state is ChannelState.PAID:
                async with self.unit_of_work() as uow:
                    await self._stands(uow, attempt.number)
                    await self.confirm(uow, access, report, evidence=f"query:{attempt.id}")
                await self._tell(attempt)
                return ChannelState.PAID
        crashpoint("reverse.after_channel")
        async with self.unit_of_work() as uow:
            await self._undone(uow, attempt.number)
        await self._tell(attempt)
        return ChannelState.CLOSED

    async def _commit_to_it(self, attempt: Attempt) -> tuple[Access, Attempt]:
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(attempt.account_id)
            attempt = await uow.attempts.lock(attempt.id)
            if attempt.charging(self.clock.now()):
                # A reverse that overtakes its charge would undo nothing.
                raise InProgress("a bar code is being charged at this moment", code="close_in_progress")
            if attempt.live:
                attempt = attempt.reversing(self.clock.now())
                await uow.attempts.save(attempt)
        return access, attempt

    async def _stands(self, uow: UnitOfWork, number: str) -> None:
        """The channel does not undo what is paid: then it is paid, and this money is as good as any."""
        found = await uow.attempts.lock_numbered(number)
        if found is not None and found[1].status is AttemptStatus.REVERSING:
            await uow.attempts.save(found[1].succeeded(self.clock.now()))

    async def _undone(self, uow: UnitOfWork, number: str) -> None:
        found = await uow.attempts.lock_numbered(number)
        if found is None or found[1].status is not AttemptStatus.REVERSING:
            return
        order, attempt = found
        now = self.clock.now()
        for payment in await uow.payments.of_order(order.id):
            if payment.attempt_id != attempt.id or payment.unattributed is not Unattributed.REVERSED:
                continue
            held = await uow.suspense.of_payment(payment.id)
            if held is None:
                continue
            item, _ = await uow.suspense.lock(held.id)
            if item.status is SuspenseStatus.OPEN:
                await uow.ledger.post(payment_reversed(payment, now))
                await uow.suspense.save(item.given_back())
        await uow.attempts.save(attempt.reversed(now))

    async def _tell(self, attempt: Attempt) -> None:
        await self.hints.order_changed(attempt.order_id)
        await self.hints.work("fan_out_events")
