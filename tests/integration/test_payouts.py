"""Payouts over the wire: our web and worker's sweeps, both channels of the sandbox, PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from domain.channels import Mode
from domain.settlements import Rail, SettlementStatus
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.integration import payouts
from tests.integration.stack import Stack, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    module_database_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    logs: Path = tmp_path_factory.mktemp("payouts")
    async with running(module_database_url, redis_server, logs) as stack:
        await stack.control("settings", wechat_refund_seconds=0.1)
        yield stack


async def test_alipay_pays_a_settlement(stack: Stack) -> None:
    settlement = await payouts.approved_at(stack, Rail.ALIPAY)
    await stack.sweep("check_payouts")
    after = await payouts.now(stack, settlement)
    assert (after.status, after.failure) == (SettlementStatus.PAID, None)
    (sent,) = (await stack.http.get(f"{stack.sandbox}/control/alipay/transfers")).json()
    assert (sent["number"], sent["amount"], sent["identity"]) == (settlement.number, 9_900, "cafe@example.com")
    assert after.reference == sent["id"]


async def test_wechat_pays_when_the_payee_has_confirmed_and_its_notice_books_it(stack: Stack) -> None:
    settlement = await payouts.approved_at(stack, Rail.WECHAT)
    await stack.sweep("check_payouts")
    waiting = await payouts.now(stack, settlement)
    assert (waiting.status, waiting.failure) == (SettlementStatus.AWAITING_PAYEE, None)
    (bill,) = (await stack.http.get(f"{stack.sandbox}/control/wechat/transfers")).json()
    assert (bill["out_bill_no"], bill["user_name"]) == (settlement.number, "张三")
    await stack.control("wechat/transfers", package_info=waiting.confirmation)
    async with asyncio.timeout(20):
        while (await payouts.now(stack, settlement)).status is not SettlementStatus.PAID:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await payouts.facts(stack, settlement) == ["settlement_created", *["payout_done"] * 2]


async def test_wechats_payee_who_lets_the_day_pass_returns_the_money_to_the_merchant(stack: Stack) -> None:
    settlement = await payouts.approved_at(stack, Rail.WECHAT)
    await stack.sweep("check_payouts")
    waiting = await payouts.now(stack, settlement)
    await stack.control("wechat/transfers", package_info=waiting.confirmation, action="leave")
    async with asyncio.timeout(20):
        while (await payouts.now(stack, settlement)).status is not SettlementStatus.FAILED:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (await payouts.now(stack, settlement)).failure == "OVERDUE_CLOSE"
    assert (await payouts.facts(stack, settlement))[-1] == "settlement_returned"


async def test_what_wechats_fund_bill_says_of_payouts_is_no_difference(stack: Stack) -> None:
    """One that was paid, one that came back, one that waits: as the tests above leave them, and one more."""
    settlement = await payouts.approved_at(stack, Rail.WECHAT)
    await stack.sweep("check_payouts")
    standing = await payouts.now(stack, settlement)
    assert standing.status is SettlementStatus.AWAITING_PAYEE
    assert standing.source is not None
    await stack.control("settings", wechat_bills="now")
    container, account_id = stack.container, standing.source.owner
    day = shanghai_day(container.clock().now())
    async with container.database().unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=account_id, mode=Mode.TEST, day=day))
    await container.fetch_statement()(account_id, day)
    after = await container.reconcile()(account_id, day)
    async with container.database().unit_of_work() as uow:
        found = [one for one in await uow.bills.discrepancies(account_id, day) if one.live]
    assert (after.status, found) == (DayStatus.MATCHED, [])
