"""Send a settlement's money: the intent committed, then the call, then its outcome."""

from dataclasses import dataclass

from application.confirm_payout import ConfirmPayout
from application.crashpoints import crashpoint
from application.ports.channels import PayoutRails, Payouts
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints, Vault, payee_context
from application.submit_refund import FUNDS_SHORT
from domain.channels import Access
from domain.errors import ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown
from domain.payouts import PayoutReport, PayoutRequest, PayoutState
from domain.settlement_postings import settlement_returned
from domain.settlements import Rail, Settlement, SettlementStatus

TITLE = "货款结算"


@dataclass(frozen=True, slots=True)
class PayOut:
    """Pay an approved settlement out, under its one number. It returns the settlement as it stands then, and raises
    for nothing that a channel does: no answer leaves it ``paying``, and the ladder asks until the channel tells.

    A timeout is no failure, and a refusal alone is none either: WeChat Pay wants to be asked before anybody believes
    that (发起转账). Only then the money goes back, and a new settlement may follow under a new number. A manual one is
    left to people (manual_payouts.py).
    """

    unit_of_work: UnitOfWorkFactory
    rails: PayoutRails
    confirm: ConfirmPayout
    vault: Vault
    clock: Clock
    hints: Hints
    notice_url: str

    async def __call__(self, settlement_id: str) -> Settlement:
        async with self.unit_of_work() as uow:
            standing = await uow.settlements.lock(settlement_id)
            source, payee, now = standing.source, standing.payee, self.clock.now()
            if standing.status is not SettlementStatus.APPROVED or source is None or source.rail is Rail.MANUAL:
                return standing  # somebody else has taken it up, or has to
            access = await uow.accounts.access(source.owner)
            if payee is None or payee.kind not in self.rails[access.account.channel].kinds:
                standing = standing.cancelled("payee_not_on_this_rail", now)
                await uow.ledger.post(settlement_returned(standing, now))
                await uow.settlements.save(standing)
                return standing
            standing = standing.paying(now)
            await uow.settlements.save(standing)
        crashpoint("payout.after_intent")
        return await self.call(standing, access)

    async def call(self, standing: Settlement, access: Access) -> Settlement:
        """The call itself, the same each time."""
        try:
            report = await self.rail(access).pay(access, self._request(standing, access))
        except ChannelRejected as refusal:
            return await self._refused(standing, access, refusal)
        except (ChannelUnavailable, InvalidRequest) as hindrance:
            return await self._hindered(standing, hindrance.code)
        except OutcomeUnknown:
            return standing  # the ladder comes back to it
        crashpoint("payout.after_channel")
        return await self.take(standing, access, report)

    async def take(self, standing: Settlement, access: Access, report: PayoutReport) -> Settlement:
        """What the channel answered, into the books."""
        async with self.unit_of_work() as uow:
            await self.confirm(uow, access, report)
            after = await uow.settlements.get(standing.id)
        if after.status is not standing.status:
            await self.hints.work("fan_out_events")
        return after

    def rail(self, access: Access) -> Payouts:
        return self.rails[access.account.channel]

    def _request(self, standing: Settlement, access: Access) -> PayoutRequest:
        payee = standing.payee
        assert payee is not None, "an approval freezes the payee"
        return PayoutRequest(
            number=standing.number,
            amount=standing.payout,
            kind=payee.kind,
            payee=self.vault.open(payee_context(standing.merchant_id), payee.sealed).decode(),
            name=payee.holder,
            title=TITLE,
            notice_url=f"{self.notice_url}/{access.account.channel}/{access.account.id}",
        )

    async def _refused(self, standing: Settlement, access: Access, refusal: ChannelRejected) -> Settlement:
        if refusal.code == FUNDS_SHORT:
            return await self._hindered(standing, FUNDS_SHORT)
        try:
            report = await self.rail(access).ask(access, standing.number)
        except ChannelRejected:
            return await self._hindered(standing, refusal.code)
        except (ChannelUnavailable, OutcomeUnknown):
            return standing
        if report.state is PayoutState.ABSENT:
            report = PayoutReport(number=standing.number, state=PayoutState.FAILED, detail=refusal.code)
        return await self.take(standing, access, report)

    async def _hindered(self, standing: Settlement, reason: str) -> Settlement:
        """Nothing was done, and the same is tried again; until then people see why."""
        async with self.unit_of_work() as uow:
            now = await uow.settlements.lock(standing.id)
            if now.status is SettlementStatus.PAYING and now.failure != reason:
                now = now.hindered(reason)
                await uow.settlements.save(now)
        return now
