"""Settlements that wait to be paid, in a stack of processes, and what must be true when they are."""

from domain.channels import Channel, Mode
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from tests.approved import approved
from tests.integration.house import House, eventually
from tests.integration.stack import Stack

FUNDS = {Rail.ALIPAY: "BASIC", Rail.WECHAT: "OPERATION"}


async def approved_at(stack: Stack, rail: Rail) -> Settlement:
    """Of the stack's merchant, from the platform's account at that channel."""
    container = stack.container
    async with container.database().unit_of_work() as uow:
        serving = await uow.accounts.serving(stack.merchant.merchant_id, Mode.TEST)
    accounts = [each.access.account for each in serving if each.access.account.channel is Channel(rail.value)]
    return await approved(
        container.database().unit_of_work,
        container.vault(),
        container.ids(),
        container.clock().now(),
        merchant_id=stack.merchant.merchant_id,
        source=Source(rail, accounts[0].id, FUNDS[rail]),
    )


async def now(stack: Stack, settlement: Settlement) -> Settlement:
    """As it stands."""
    async with stack.container.database().unit_of_work() as uow:
        return await uow.settlements.get(settlement.id)


async def facts(stack: Stack, settlement: Settlement) -> list[str]:
    """What was posted about it, in order."""
    async with stack.container.database().unit_of_work() as uow:
        return [transfer.fact for transfer in await uow.ledger.about(settlement.id)]


async def paid_out(house: House, settlement: Settlement, within: float) -> float:
    """When it was paid, as its event says: once at the channel, and to the fen in the books."""

    async def done() -> bool:
        return (await now(house.stack, settlement)).status is SettlementStatus.PAID

    await eventually(done, within, "the settlement is paid")
    answer = await house.stack.http.get(f"{house.stack.sandbox}/control/alipay/transfers")
    (sent,) = [one for one in answer.json() if one["number"] == settlement.number]
    assert (sent["state"], sent["amount"]) == ("SUCCESS", settlement.payout.minor)
    assert (await facts(house.stack, settlement)).count("payout_done") == 2, "what was paid, and our fee"
    async with house.stack.container.database().unit_of_work() as uow:
        (event,) = [one for one in await uow.events.about([settlement.id]) if one.type == "settlement.paid"]
    return event.at.timestamp()
