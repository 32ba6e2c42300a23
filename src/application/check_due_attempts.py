"""The poll ladder: whatever is due is asked about at its channel, and what hangs at a till is undone."""

from contextlib import suppress
from dataclasses import dataclass

from application.check_attempt import CheckAttempt
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.reverse_attempt import ReverseAttempt
from application.together import together
from domain.attempts import Attempt
from domain.channels import ChannelState
from domain.errors import ChannelError


@dataclass(frozen=True, slots=True)
class CheckDueAttempts:
    """One sweep: claim what is due, then ask for all of it side by side.

    A bar code payment is asked about every few seconds; when it has been undecided for BARCODE_PATIENCE, whether its
    payer hesitates or the channel says nothing, it is reversed, and that is repeated until it is certain.
    """

    unit_of_work: UnitOfWorkFactory
    check: CheckAttempt
    reverse: ReverseAttempt
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.attempts.claim_due(self.clock.now(), limit=self.batch)
        await together(self._follow, due)
        return len(due)

    async def _follow(self, attempt: Attempt) -> None:
        if attempt.undone:
            await self.reverse(attempt)
        elif attempt.method.is_barcode:
            await self._decide(attempt)
        else:
            await self.check(attempt)

    async def _decide(self, attempt: Attempt) -> None:
        now, state = self.clock.now(), ChannelState.PENDING
        with suppress(ChannelError):  # no answer is no reason to leave the payer at the till
            state = (await self.check(attempt)).state
        undecided = state in (ChannelState.PENDING, ChannelState.ABSENT)
        if undecided and attempt.overdue(now, absent=state is ChannelState.ABSENT):
            await self.reverse(attempt)
