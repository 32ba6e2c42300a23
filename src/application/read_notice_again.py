"""After a fix of ours, an operator has a refused notice read again."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.receive_notice import NoticeHandled, ReceiveNotice
from domain.actors import Actor
from domain.refused_notices import RefusedNotice


@dataclass(frozen=True, slots=True)
class ReadNoticeAgain:
    """Believed or refused by the same rules as when it came; reading once more what was taken changes nothing."""

    unit_of_work: UnitOfWorkFactory
    receive: ReceiveNotice
    clock: Clock
    ids: Ids

    async def refusals(self, *, limit: int) -> Sequence[RefusedNotice]:
        async with self.unit_of_work() as uow:
            return await uow.notices.refusals(limit=limit)

    async def __call__(self, actor: Actor, notice_id: str) -> NoticeHandled:
        handled = await self.receive.again(notice_id)
        async with self.unit_of_work() as uow:
            await uow.audit.add(
                actor.did(
                    "notice.read_again",
                    notice_id,
                    id=self.ids.new("aud"),
                    at=self.clock.now(),
                    after={"accepted": handled.accepted, "outcome": handled.outcome},
                )
            )
        return handled
