"""Contract of settlements: they come back as they were saved, and no transfer is ever inside two of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import Account, AccountKind, Transfer
from domain.merchants import BankAccount
from domain.money import Money
from domain.payouts import PayeeKind
from domain.settlement_postings import settlement_created
from domain.settlements import UNDER_WAY, Rail, Settlement, SettlementStatus, Source
from tests.contracts.books import transfer
from tests.contracts.interleaving import Gate
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled, end, soon

AVAILABLE = Account(AccountKind.MERCHANT_AVAILABLE, "mch_1", Mode.TEST, "CNY")
PAYEE = BankAccount(holder="火龙果", bank="招商银行", sealed=b"\x01\xfe", last4="6789", changed_at=NOW)


def come(key: str, minor: int) -> Transfer:
    return transfer(key, minor, credit=AVAILABLE)


def go(key: str, minor: int) -> Transfer:
    return transfer(key, minor, debit=AVAILABLE, credit=Account(AccountKind.CHANNEL_RECEIVABLE, "c", Mode.TEST, "CNY"))


async def settle(stage: Stage, **changes: Any) -> Settlement:
    """Sweep what is there, as the use case does."""
    async with stage.unit_of_work() as uow:
        await uow.ledger.guard(AVAILABLE)
        settlement = stage.new_settlement(**changes)
        swept, lines = await uow.sweeps.sweep(AVAILABLE, settlement.id)
        settlement = replace(
            settlement, merchant_id="mch_1", swept=Money(swept), amount=Money(swept), fee=Money(0), lines=lines
        )
        await uow.settlements.add(settlement)
        await uow.ledger.post(settlement_created(settlement))
    return settlement


class SettlementsContract(OnStage):
    async def test_a_settlement_comes_back_with_every_field(self, stage: Stage) -> None:
        settlement = await stage.settlement()
        changed = replace(
            settlement,
            status=SettlementStatus.BOUNCED,
            payee=PAYEE,
            source=Source(Rail.ALIPAY, "cha_1", "BASIC"),
            approved_by="opr_1",
            approved_at=NOW,
            paid_at=NOW + timedelta(days=1),
            charge=Money(3),
            reference="2026",
            failure="—",
            confirmation="package",
            next_at=NOW + timedelta(hours=1),
            polls=3,
            revision=4,
        )
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.settlements.get(settlement.id) == settlement
            await uow.settlements.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.settlements.get(settlement.id) == changed
            stored = (await uow.settlements.get(settlement.id)).payee
            assert stored is not None
            assert type(stored.kind) is PayeeKind  # a text that is equal would not do
            assert await uow.settlements.lock(settlement.id) == changed
            assert await uow.settlements.numbered(settlement.number) == changed

    async def test_unknown_settlements_are_not_found(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert await uow.settlements.numbered("none") is None
            assert list(await uow.sweeps.inside("stl_none")) == []
            with pytest.raises(NotFound):
                await uow.settlements.get("stl_none")
            with pytest.raises(NotFound):
                await uow.settlements.lock("stl_none")

    async def test_a_payout_number_stands_for_one_settlement(self, stage: Stage) -> None:
        settlement = await stage.settlement()
        with pytest.raises(AlreadyExists) as caught:
            await stage.settlement(number=settlement.number)
        assert caught.value.constraint == "uq_settlement_number"

    async def test_its_events_are_stored_with_it(self, stage: Stage) -> None:
        settlement = stage.new_settlement().created(NOW)
        async with stage.unit_of_work() as uow:
            await uow.settlements.add(settlement)
            rejected = replace(settlement, events=()).rejected("no", NOW)
            await uow.settlements.save(rejected)
        async with stage.unit_of_work() as uow:
            stories = await uow.events.about([settlement.id])
            assert list(stories) == [settlement.events[0], rejected.events[0]]

    @pytest.mark.parametrize("status", list(SettlementStatus))
    async def test_only_payouts_under_way_are_ever_due(self, stage: Stage, status: SettlementStatus) -> None:
        approved = {"payee": PAYEE, "source": Source(), "approved_by": "opr_1", "approved_at": NOW}
        bare = status in (SettlementStatus.CREATED, SettlementStatus.REJECTED)
        settlement = await stage.settlement(status=status, next_at=NOW, **({} if bare else approved))
        await stage.settlement(status=SettlementStatus.PAYING, next_at=NOW + timedelta(seconds=1), **approved)
        async with stage.unit_of_work() as uow:
            due = list(await uow.settlements.claim_due(NOW, limit=10))
            assert due == ([settlement.polled(NOW)] if status in UNDER_WAY else [])
        async with stage.unit_of_work() as uow:
            assert list(await uow.settlements.claim_due(NOW, limit=10)) == []

    async def test_what_is_open_is_the_balance_in_and_out(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert await uow.sweeps.available(AVAILABLE) == 0
            await uow.ledger.post([come("a", 100), come("b", 50), go("c", 30), transfer("d")])
            await uow.ledger.post([come("a", 100)])
            assert await uow.sweeps.available(AVAILABLE) == 120
        async with stage.unit_of_work() as uow:
            assert await uow.sweeps.available(AVAILABLE) == await uow.ledger.balance(AVAILABLE) == 120
            assert await uow.sweeps.available(replace(AVAILABLE, mode=Mode.LIVE)) == 0

    async def test_a_sweep_takes_all_that_is_open_and_what_comes_later_is_open_again(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([come("a", 100), go("b", 30)])
        settlement = await settle(stage)
        assert (settlement.swept, settlement.lines) == (Money(70), 2)
        async with stage.unit_of_work() as uow:
            assert await uow.sweeps.available(AVAILABLE) == await uow.ledger.balance(AVAILABLE) == 0
            await uow.ledger.post([come("c", 5)])
        async with stage.unit_of_work() as uow:
            assert await uow.sweeps.available(AVAILABLE) == 5
            inside = await uow.sweeps.inside(settlement.id)
            assert [(line.idem_key, line.amount) for line in inside] == [
                ("a", 100),
                ("b", -30),
                (f"settlement:{settlement.id}:created", -70),
            ]
            assert (inside[0].fact, inside[0].about, inside[0].currency) == ("payment", "pay_1", "CNY")

    async def test_a_sweep_that_is_rolled_back_took_nothing(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([come("a", 100)])
        with pytest.raises(KeyError):
            async with stage.unit_of_work() as uow:
                assert await uow.sweeps.sweep(AVAILABLE, "stl_none") == (100, 1)
                raise KeyError
        async with stage.unit_of_work() as uow:
            assert await uow.sweeps.available(AVAILABLE) == 100

    async def test_of_two_sweeps_at_once_one_takes_all_and_the_other_nothing(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([come("a", 100)])
        gate = Gate()

        async def sweep(gate: Gate | None = None) -> int:
            async with stage.unit_of_work() as uow:
                await uow.ledger.guard(AVAILABLE)
                settlement = stage.new_settlement()
                swept, _ = await uow.sweeps.sweep(AVAILABLE, settlement.id)
                await uow.settlements.add(settlement)
                if gate is not None:
                    await gate.pause()
                return swept

        first = asyncio.create_task(sweep(gate))
        await soon(gate.arrived.wait())
        second = asyncio.create_task(sweep())
        assert await self.waits(second)
        gate.open.set()
        assert await end(first, second) == [100, 0]

    async def test_what_commits_after_a_sweep_however_early_it_began_is_left_for_the_next(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([come("early", 1)])
        assert (await settle(stage)).swept == Money(1)
        gate = Gate()

        async def slow() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([come("slow", 7)])
                await uow.ledger.balance(AVAILABLE)  # it is written now, under an early transaction id
                await gate.pause()

        writer = asyncio.create_task(slow())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([come("quick", 100)])
        assert (await settle(stage)).swept == Money(100)
        gate.open.set()
        await end(writer)
        assert (await settle(stage)).swept == Money(7)
