"""Who may get shares of a merchant's payments: proposed, agreed to by a second person, told to the channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.ports.channels import SharingRails
from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from application.together import together
from domain.actors import Actor
from domain.errors import ChannelRejected, Conflict
from domain.numbers import channel_number
from domain.proposals import Proposal
from domain.receivers import Receiver, ReceiverStatus, ReceiverWish

ADD_RECEIVER = "receiver.add"
APPROVE = "sharing.approve"


@dataclass(frozen=True, slots=True)
class ProposeReceiver:
    """Raises InvalidRequest for one that could never receive (``ReceiverWish.checked``), Conflict for one that is
    there already."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, wish: ReceiverWish) -> Receiver:
        try:
            return await self._write(actor, wish)
        except AlreadyExists as error:
            raise Conflict("this receiver is there already", code="receiver_exists") from error

    async def _write(self, actor: Actor, wish: ReceiverWish) -> Receiver:
        async with self.unit_of_work() as uow:
            account = (await uow.accounts.access(wish.account_id)).account
            platform = None
            if wish.platform_account_id is not None:
                platform = (await uow.accounts.access(wish.platform_account_id)).account
            wish.checked(account, platform)
            assert account.merchant_id is not None, "a direct account has an owner"
            now = self.clock.now()
            receiver = Receiver(
                id=self.ids.new("rcv"),
                merchant_id=account.merchant_id,
                mode=account.mode,
                channel=account.channel,
                number=channel_number(self.ids.new("num").removeprefix("num_")),
                wish=wish,
                created_at=now,
            ).created(now)
            await uow.receivers.add(receiver)
            await self.propose.within(
                uow,
                actor,
                ADD_RECEIVER,
                {"receiver_id": receiver.id},
                summary=f"let {wish.kind} {wish.account} receive shares of account {wish.account_id}",
                permission=APPROVE,
                merchant_id=receiver.merchant_id,
            )
        return receiver


@dataclass(frozen=True, slots=True)
class ApproveReceiver:
    """The executor behind those proposals: the next sweep tells the channel."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        del actor  # who decided stands in the proposal and its audit
        receiver = (await uow.receivers.lock(str(proposal.payload["receiver_id"]))).approved(self.clock.now())
        await uow.receivers.save(receiver)
        return {"status": str(receiver.status)}


@dataclass(frozen=True, slots=True)
class DeclineReceiver:
    """Rejected, withdrawn or run out."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal) -> None:
        receiver = await uow.receivers.lock(str(proposal.payload["receiver_id"]))
        await uow.receivers.save(receiver.rejected(proposal.reason or "not approved", self.clock.now()))


@dataclass(frozen=True, slots=True)
class RemoveReceiver:
    """From now on it gets nothing: one person may say so. Raises Conflict unless it is active."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, receiver_id: str) -> Receiver:
        async with self.unit_of_work() as uow:
            receiver, now = await uow.receivers.lock(receiver_id), self.clock.now()
            if receiver.status is not ReceiverStatus.ACTIVE:
                raise Conflict(f"this receiver is {receiver.status}", code="receiver_not_active")
            receiver = receiver.removal(now)
            await uow.receivers.save(receiver)
            await uow.audit.add(
                actor.did(
                    "receiver.removed",
                    receiver.id,
                    id=self.ids.new("aud"),
                    at=now,
                    merchant_id=receiver.merchant_id,
                    before={"status": str(ReceiverStatus.ACTIVE)},
                    after={"status": str(receiver.status)},
                )
            )
        return receiver


@dataclass(frozen=True, slots=True)
class TellReceiver:
    """Tell the channel of one, and believe its answer. Raises ChannelError when it gives none: it stays due, and
    telling it again is harmless."""

    unit_of_work: UnitOfWorkFactory
    rails: SharingRails
    clock: Clock

    async def __call__(self, receiver: Receiver) -> None:
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(receiver.wish.account_id)
        rail, refusal = self.rails[receiver.channel], None
        adding = receiver.status is ReceiverStatus.ADDING
        try:
            await (rail.register if adding else rail.remove)(access, receiver.asked)
        except ChannelRejected as error:
            refusal = error.code
        async with self.unit_of_work() as uow:
            locked, now = await uow.receivers.lock(receiver.id), self.clock.now()
            if locked.status is not receiver.status:
                return  # another sweep was faster
            if refusal is not None:
                locked = locked.refused(refusal, now)
            else:
                locked = locked.added(now) if adding else locked.removed(now)
            await uow.receivers.save(locked)


@dataclass(frozen=True, slots=True)
class TellDueReceivers:
    """One sweep over those whom the channel has not been told of."""

    unit_of_work: UnitOfWorkFactory
    tell: TellReceiver
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.receivers.claim_due(self.clock.now(), limit=self.batch)
        await together(self.tell, due)
        return len(due)
