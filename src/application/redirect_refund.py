"""An abnormal refund goes to another card, or back to who collected: one person proposes, another approves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.ports.channels import Redirecting
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, card_context
from application.propose import Propose
from application.submit_refund import SubmitRefund
from domain.actors import Actor
from domain.channels import Access, Channel, RefundState
from domain.errors import ChannelRejected, ChannelUnavailable, Conflict, InvalidRequest, OutcomeUnknown
from domain.proposals import Proposal
from domain.redirections import Card, Destination, Redirection
from domain.refunds import Refund, RefundStatus

REDIRECT = "refund.redirect"
APPROVE = "refunds.approve"


@dataclass(frozen=True, slots=True)
class ProposeRedirection:
    """Say where an abnormal refund shall go. The card is sealed before it is stored, in the refund alone; who decides
    sees its bank and its end. Raises Conflict for a refund that is not abnormal or has been said to go somewhere, and
    for a channel that sends nothing elsewhere."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose
    redirecting: Mapping[Channel, Redirecting]
    vault: Vault
    clock: Clock

    async def __call__(
        self, actor: Actor, refund_id: str, to: Destination, note: str, *, card: Card | None = None
    ) -> Proposal:
        if to is Destination.ORIGINAL or (to is Destination.PAYER_CARD) != (card is not None):
            raise InvalidRequest("a card is named where it goes to one", code="value_invalid", pointer="/card")
        async with self.unit_of_work() as uow:
            refund = await uow.refunds.get(refund_id)
            access = await uow.accounts.access(refund.account_id)
            if access.account.channel not in self.redirecting:
                raise Conflict("this channel sends no refund elsewhere", code="refund_not_redirectable")
            shown = f"{card.bank} …{card.number[-4:]}" if card else "the account that received the payment"
            proposal = await self.propose.within(
                uow,
                actor,
                REDIRECT,
                {"refund_id": refund.id, "to": str(to), "note": note},
                summary=f"send refund {refund.number}, {refund.amount}, to {shown}",
                permission=APPROVE,
                merchant_id=refund.merchant_id if refund.order_id is not None else None,
            )
            redirection = Redirection(to, self._sealed(refund, card))
            refund = await uow.refunds.lock(refund_id)
            await uow.refunds.save(refund.redirection_proposed(redirection, self.clock.now()))
            return proposal

    def _sealed(self, refund: Refund, card: Card | None) -> bytes:
        if card is None:
            return b""
        return self.vault.seal(card_context(refund.id), json.dumps([card.bank, card.number, card.holder]).encode())


@dataclass(frozen=True, slots=True)
class ApproveRedirection:
    """The executor: from here on the sweep tells the channel. Raises Conflict for what is abnormal no longer."""

    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        asked, now = proposal.payload, self.clock.now()
        refund = await uow.refunds.lock(str(asked["refund_id"]))
        await uow.refunds.save(refund.redirecting(now))
        result = {"to": asked["to"]}
        await uow.audit.add(
            actor.did(
                "refund.redirected",
                refund.id,
                id=self.ids.new("aud"),
                at=now,
                merchant_id=proposal.merchant_id,
                after={**result, "note": asked["note"]},
            )
        )
        return result


@dataclass(frozen=True, slots=True)
class DeclineRedirection:
    """Rejected, withdrawn or run out: the card is forgotten, and the refund waits as before."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal) -> None:
        refund = await uow.refunds.lock(str(proposal.payload["refund_id"]))
        if refund.redirection is not None and not refund.redirection.approved:
            await uow.refunds.save(refund.not_redirected(proposal.reason or "not approved", self.clock.now()))


@dataclass(frozen=True, slots=True)
class RedirectRefund:
    """Tell the channel where an abnormal refund goes. Asked after a query that still says abnormal, as often as it
    takes: the channel knows the refund by its one number. What it refuses for good waits for people again."""

    submit: SubmitRefund
    redirecting: Mapping[Channel, Redirecting]
    vault: Vault
    clock: Clock

    async def __call__(self, refund: Refund, access: Access) -> Refund:
        redirection, channel = refund.redirection, self.redirecting[access.account.channel]
        assert redirection is not None, "approved"
        assert refund.channel_id is not None, "what is abnormal was accepted"
        card = self._card(refund, redirection)
        request = refund.request(self.submit.notice_url)
        try:
            report = await channel.redirect(access, request, refund.channel_id, redirection.to, card)
        except ChannelRejected as refusal:
            return await self._refused(refund, access, refusal)
        except (ChannelUnavailable, OutcomeUnknown):
            return refund  # still due, and a query comes first
        return await self.submit.take(refund, access, report, evidence=f"answer:{refund.id}")

    async def _refused(self, refund: Refund, access: Access, refusal: ChannelRejected) -> Refund:
        # It may refuse because an earlier call, whose answer was lost, has arrived.
        try:
            report = await self.submit.channels[access.account.channel].query_refund(
                access, refund.request(self.submit.notice_url)
            )
        except (ChannelRejected, ChannelUnavailable, OutcomeUnknown):
            return refund
        if report.state is not RefundState.ABNORMAL:
            return await self.submit.take(refund, access, report, evidence=f"query:{refund.id}")
        async with self.submit.unit_of_work() as uow:
            refund = await uow.refunds.lock(refund.id)
            if refund.redirected and refund.status is RefundStatus.ABNORMAL:
                refund = refund.not_redirected(refusal.code, self.clock.now())
                await uow.refunds.save(refund)
        return refund

    def _card(self, refund: Refund, redirection: Redirection) -> Card | None:
        if not redirection.sealed:
            return None
        return Card(*json.loads(self.vault.open(card_context(refund.id), redirection.sealed)))
