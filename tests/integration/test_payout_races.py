"""Races of payouts on PostgreSQL: workers, notices, people and the ladder meet over one settlement."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from dependency_injector import providers

from application.check_payout import CancelPayout
from application.manual_payouts import RECORD_PAYOUT
from application.propose import DecideProposal
from bootstrap.container import Container, opened
from bootstrap.settings import Settings
from domain.actors import Actor, ActorKind
from domain.channels import Channel, Mode
from domain.errors import PitayaError
from domain.ledger import Account, AccountKind
from domain.money import Money
from domain.payouts import PayoutState
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from tests.approved import approved
from tests.fakes import FakeChannel
from tests.fakes.house import FEE_PLAN
from tests.integration.stack import settings_of
from tests.integration.test_races import ALIPAY, WECHAT, account

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUNDS, CROWD = 8, 6
MINA, NOAH, OLGA = (
    Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=frozenset({"payouts.approve"}))
    for name in ("mina", "noah", "olga")
)


@dataclass
class Treasury:
    """The container on fake channels, and one merchant that is owed money."""

    container: Container
    channels: dict[Channel, FakeChannel]
    merchant_id: str
    accounts: dict[Channel, str]

    async def approved(self, rail: Rail) -> Settlement:
        source = Source()
        if rail is not Rail.MANUAL:
            channel = Channel(rail.value)
            source = Source(rail, self.accounts[channel], self.channels[channel].payouts.fund)
        return await approved(
            self.container.database().unit_of_work,
            self.container.vault(),
            self.container.ids(),
            self.container.clock().now(),
            merchant_id=self.merchant_id,
            source=source,
        )

    async def now(self, settlement: Settlement) -> Settlement:
        async with self.container.database().unit_of_work() as uow:
            return await uow.settlements.get(settlement.id)

    async def facts(self, settlement: Settlement) -> list[str]:
        async with self.container.database().unit_of_work() as uow:
            return [transfer.fact for transfer in await uow.ledger.about(settlement.id)]

    async def settling(self) -> int:
        async with self.container.database().unit_of_work() as uow:
            return await uow.ledger.balance(Account(AccountKind.MERCHANT_SETTLING, self.merchant_id, Mode.TEST, "CNY"))

    def sent(self, rail: Rail, settlement: Settlement) -> list[PayoutState]:
        reports = self.channels[Channel(rail.value)].payouts.reports()
        return [report.state for report in reports if report.number == settlement.number]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def treasury(module_database_url: str, redis_server: str) -> AsyncIterator[Treasury]:
    nowhere = "http://127.0.0.1:9"
    environment = settings_of(module_database_url, redis_server, nowhere, nowhere) | {"PITAYA_POOL_SIZE": str(CROWD)}
    async with opened(Settings.from_environment(environment)) as container:
        inside = container.database().open_here
        channels = {channel: FakeChannel(channel, container.clock(), open_here=inside) for channel in Channel}
        container.channels.override(providers.Object(channels))
        container.rails.override(providers.Object({name: fake.payouts for name, fake in channels.items()}))
        merchant = await container.open_merchant()(
            "Café", FEE_PLAN, Mode.TEST, accounts=[account(method) for method in (ALIPAY, WECHAT)]
        )
        async with container.database().unit_of_work() as uow:
            serving = await uow.accounts.serving(merchant.merchant.id, Mode.TEST)
        accounts = {each.access.account.channel: each.access.account.id for each in serving}
        yield Treasury(container, channels, merchant.merchant.id, accounts)


@pytest.mark.parametrize("rail", [Rail.ALIPAY, Rail.WECHAT])
async def test_many_workers_send_one_payout(treasury: Treasury, rail: Rail) -> None:
    for _ in range(ROUNDS):
        settlement = await treasury.approved(rail)
        await asyncio.gather(*(treasury.container.pay_out()(settlement.id) for _ in range(CROWD)))
        wanted = PayoutState.PAID if rail is Rail.ALIPAY else PayoutState.AWAITING_PAYEE
        assert treasury.sent(rail, settlement) == [wanted]
        assert (await treasury.facts(settlement)).count("payout_done") == (2 if rail is Rail.ALIPAY else 0)


async def test_notices_and_the_ladder_book_one_payout(treasury: Treasury) -> None:
    payouts = treasury.channels[Channel.WECHAT].payouts
    for _ in range(ROUNDS):
        settlement = await treasury.container.pay_out()((await treasury.approved(Rail.WECHAT)).id)
        payouts.become(settlement.number, PayoutState.PAID)
        headers, body = payouts.notice(settlement.number)
        receive, check = treasury.container.receive_notice(), treasury.container.check_payout()
        account_id = treasury.accounts[Channel.WECHAT]
        await asyncio.gather(
            *(receive(Channel.WECHAT, account_id, headers, body) for _ in range(CROWD // 2)),
            *(check(settlement) for _ in range(CROWD // 2)),
        )
        assert (await treasury.now(settlement)).status is SettlementStatus.PAID
        assert (await treasury.facts(settlement)).count("payout_done") == 2


async def test_a_payout_is_sent_or_cancelled_and_never_both(treasury: Treasury) -> None:
    cancel: CancelPayout = treasury.container.cancel_payout()
    ends = set()
    for turn in range(ROUNDS):
        settlement = await treasury.approved(Rail.ALIPAY)
        pay = treasury.container.pay_out()
        calls = [pay(settlement.id), cancel(MINA, settlement.id, "—")]
        done = await asyncio.gather(*(calls if turn % 2 else reversed(calls)), return_exceptions=True)
        assert all(not isinstance(one, BaseException) or isinstance(one, PitayaError) for one in done), done
        after, sent = await treasury.now(settlement), treasury.sent(Rail.ALIPAY, settlement)
        facts = await treasury.facts(settlement)
        assert (after.status is SettlementStatus.PAID) == (sent == [PayoutState.PAID])
        assert (after.status is SettlementStatus.CANCELLED) == (sent == [])
        assert facts.count("settlement_returned") == (after.status is SettlementStatus.CANCELLED)
        ends.add(after.status)
    assert ends <= {SettlementStatus.PAID, SettlementStatus.CANCELLED}


async def test_two_approvals_of_what_a_bank_said_book_it_once(treasury: Treasury) -> None:
    container = treasury.container
    propose, decide = container.propose_payout_end(), container.decide_proposal()
    assert isinstance(decide, DecideProposal)
    assert RECORD_PAYOUT in container.executors()
    for _ in range(ROUNDS):
        settlement = await treasury.approved(Rail.MANUAL)
        await container.export_bank_file()(MINA, [settlement.id])
        now = container.clock().now()
        ends = (PayoutState.PAID, PayoutState.PAID, PayoutState.FAILED)
        said = [
            await propose(MINA, settlement.id, end, reference="B", at=now, charge=Money(1), note="n") for end in ends
        ]
        calls = [decide.approve(who, one.id) for one in said for who in (NOAH, OLGA)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(not isinstance(one, BaseException) for one in done) == 1, done
        facts = await treasury.facts(settlement)
        assert (facts.count("payout_done"), facts.count("settlement_returned")) in ((3, 0), (0, 1))


async def test_nothing_is_left_on_its_way_but_what_payees_have_not_confirmed(treasury: Treasury) -> None:
    assert await treasury.settling() == 10_000 * ROUNDS
