"""After a fix of ours, an operator has a notice read again: a refused one, or one that did not fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.receive_notice import NoticeHandled, ReceiveNotice
from domain.actors import Actor
from domain.kept_notices import KeptNotice, RefusedNotice


@dataclass(frozen=True, slots=True)
class ReadNoticeAgain:
    """Believed or refused by the same rules as when it came; reading once more what was taken changes nothing.

    Raises NotFound.
    """

    unit_of_work: UnitOfWorkFactory
    receive: ReceiveNotice
    clock: Clock
    ids: Ids

    async def refusals(self, *, limit: int) -> Sequence[RefusedNotice]:
        async with self.unit_of_work() as uow:
            return await uow.notices.refusals(limit=limit)

    async def refused(self, actor: Actor, notice_id: str) -> NoticeHandled:
        async with self.unit_of_work() as uow:
            kept = await uow.notices.refused(notice_id)
        return await self._again(actor, notice_id, kept)

    async def verified(self, actor: Actor, account_id: str, notice_id: str) -> NoticeHandled:
        """``notice_id`` is the channel's. One from before we kept what its signature rests on is refused."""
        async with self.unit_of_work() as uow:
            kept = await uow.notices.get(account_id, notice_id)
        return await self._again(actor, notice_id, kept)

    async def _again(self, actor: Actor, notice_id: str, kept: KeptNotice) -> NoticeHandled:
        handled = await self.receive.again(kept)
        async with self.unit_of_work() as uow:
            await uow.audit.add(
                actor.did(
                    "notice.read_again",
                    notice_id,
                    id=self.ids.new("aud"),
                    at=self.clock.now(),
                    after={"account": kept.account_id, "accepted": handled.accepted, "outcome": handled.outcome},
                )
            )
        return handled
