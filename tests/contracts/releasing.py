"""Contract of releases, holds and settlement rules: each payment once, claimed by one, a hold at a time."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import FundMode
from domain.errors import NotFound
from domain.money import Money
from domain.payments import ChannelPayment, Unattributed
from domain.releases import Hold, Release
from domain.settlement_rules import Cycle, SettlementRule
from domain.settlements import Rail, Source
from domain.workdays import starts
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled

DAY = date(2026, 11, 22)
LATER = NOW + timedelta(minutes=5)


async def schedule(stage: Stage, payment: ChannelPayment) -> Release:
    """The payment's release, due now."""
    async with stage.unit_of_work() as uow:
        await uow.release_days.schedule(payment.account_id, DAY, {stage.merchant.id: NOW})
        found = await uow.releases.of_payment(payment.id)
    assert found is not None
    return found


class ReleasesContract(OnStage):
    async def test_a_day_is_claimed_by_one_until_it_is_done_and_may_be_due_again(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.claim(NOW, retry_at=LATER) is None
            await uow.release_days.due("cha_1", DAY, NOW)
            await uow.release_days.due("cha_1", DAY, NOW)
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.claim(NOW, retry_at=LATER) == ("cha_1", DAY)
            assert await uow.release_days.claim(NOW, retry_at=LATER) is None
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.claim(LATER, retry_at=LATER) == ("cha_1", DAY)
            await uow.release_days.done("cha_1", DAY)
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.claim(LATER, retry_at=LATER) is None
            await uow.release_days.due("cha_1", DAY, NOW)
            assert await uow.release_days.claim(NOW, retry_at=LATER) == ("cha_1", DAY)

    async def test_what_an_order_counts_is_scheduled_once_at_its_net(self, stage: Stage) -> None:
        payment, (item, held) = await stage.payment(), await stage.item()
        other = await stage.order()
        account = payment.account_id
        async with stage.unit_of_work() as uow:
            assert list(await uow.release_days.merchants(account, DAY)) == [stage.merchant.id]
            assert list(await uow.release_days.merchants(account, DAY + timedelta(days=1))) == []
            assert list(await uow.release_days.merchants("cha_other", DAY)) == []
            assert await uow.release_days.schedule(account, DAY, {"mch_other": NOW}) == 0
            assert await uow.release_days.schedule(account, DAY, {stage.merchant.id: NOW}) == 1
            assert await uow.release_days.schedule(account, DAY, {stage.merchant.id: LATER}) == 0
            assert list(await uow.release_days.merchants(account, DAY)) == []
            release = await uow.releases.of_payment(payment.id)
            assert release is not None
            assert (release.net, release.next_at) == (payment.received - payment.fee, NOW)
            assert (release.order_id, release.day, release.account_id) == (payment.order_id, DAY, account)
            assert await uow.releases.of_payment(held.id) is None
            await uow.suspense.save(item.attributed(other.id, Money(59)))
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.schedule(account, DAY, {stage.merchant.id: NOW}) == 1
            late = await uow.releases.of_payment(held.id)
            assert late is not None
            assert (late.net, late.order_id) == (held.received - Money(59), other.id)

    async def test_a_day_releases_what_came_between_its_midnights_in_shanghai(self, stage: Stage) -> None:
        midnight, second = starts(DAY), timedelta(seconds=1)
        instants = (midnight - second, midnight, midnight + timedelta(days=1) - second, midnight + timedelta(days=1))
        came = []
        for n, at in enumerate(instants):
            order = await stage.order()
            came.append(replace(stage.new_payment(order, await stage.attempt(order), f"tx_{n}"), paid_at=at))
        async with stage.unit_of_work() as uow:
            for payment in came:
                await uow.payments.add(payment)
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.schedule(came[0].account_id, DAY, {stage.merchant.id: NOW}) == 2
            found = [await uow.releases.of_payment(payment.id) for payment in came]
        assert [release is not None for release in found] == [False, True, True, False]

    async def test_money_in_a_merchants_own_account_is_never_released(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order, fund_mode=FundMode.DIRECT)
        payment = replace(stage.new_payment(order, attempt), fund_mode=FundMode.DIRECT)
        async with stage.unit_of_work() as uow:
            await uow.payments.add(payment)
        async with stage.unit_of_work() as uow:
            assert await uow.release_days.schedule(payment.account_id, DAY, {stage.merchant.id: NOW}) == 0

    async def test_held_money_is_not_scheduled(self, stage: Stage) -> None:
        payment = await stage.payment(Unattributed.LATE)
        async with stage.unit_of_work() as uow:
            assert list(await uow.release_days.merchants(payment.account_id, DAY)) == []

    async def test_a_saved_release_comes_back_with_every_field(self, stage: Stage) -> None:
        release = await schedule(stage, await stage.payment())
        changed = replace(release, released=-5, times=2, released_at=NOW, next_at=LATER)
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.releases.lock(release.payment_id) == release
            assert await uow.releases.lock("pay_none") is None
            await uow.releases.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.releases.of_payment(release.payment_id) == changed

    async def test_due_releases_are_claimed_by_one_and_due_again_after_the_lease(self, stage: Stage) -> None:
        first = await schedule(stage, await stage.payment())
        async with stage.unit_of_work() as uow:
            assert list(await uow.releases.claim_due(NOW - timedelta(seconds=1), retry_at=LATER, limit=10)) == []
            assert list(await uow.releases.claim_due(NOW, retry_at=LATER, limit=10)) == [first.waits(LATER)]
        async with stage.unit_of_work() as uow:
            assert list(await uow.releases.claim_due(NOW, retry_at=LATER, limit=10)) == []
            assert list(await uow.releases.claim_due(LATER, retry_at=LATER, limit=10)) == [first.waits(LATER)]
            await uow.releases.save(replace(first, next_at=None))
        async with stage.unit_of_work() as uow:
            assert list(await uow.releases.claim_due(LATER, retry_at=LATER, limit=10)) == []

    @pytest.mark.parametrize("whose", ["merchant_id", "order_id"])
    async def test_what_waits_is_woken_by_its_merchant_or_its_order_and_nothing_else(
        self, stage: Stage, whose: str
    ) -> None:
        release = await schedule(stage, await stage.payment())
        done = await schedule(stage, await stage.payment())
        async with stage.unit_of_work() as uow:
            await uow.releases.save(release.waits(LATER))
            await uow.releases.save(replace(done, next_at=None))
            await uow.releases.wake("mch_other", NOW)
            assert list(await uow.releases.claim_due(NOW, retry_at=LATER, limit=10)) == []
            await uow.releases.wake(getattr(release, whose), NOW)
        async with stage.unit_of_work() as uow:
            assert list(await uow.releases.claim_due(NOW, retry_at=LATER, limit=10)) == [release.waits(LATER)]

    async def test_a_hold_stands_over_its_subject_until_it_is_lifted(self, stage: Stage) -> None:
        hold = Hold(id="hld_1", merchant_id="mch_1", subject="ord_1", reason="投诉", placed_by="opr_1", placed_at=NOW)
        async with stage.unit_of_work() as uow:
            await uow.holds.add(hold)
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.holds.add(replace(hold, id="hld_2"))
        assert caught.value.constraint == "uq_hold_subject"
        lifted = hold.lifted("opr_2", LATER)
        assert_every_field_is_filled(lifted)
        async with stage.unit_of_work() as uow:
            assert list(await uow.holds.standing(["mch_1", "ord_1"])) == [hold]
            assert list(await uow.holds.standing(["mch_1"])) == []
            assert await uow.holds.lock("hld_1") == hold
            await uow.holds.save(lifted)
            with pytest.raises(NotFound):
                await uow.holds.lock("hld_none")
        again = replace(hold, id="hld_3", placed_at=LATER)
        async with stage.unit_of_work() as uow:
            assert list(await uow.holds.standing(["ord_1"])) == []
            await uow.holds.add(again)
        async with stage.unit_of_work() as uow:
            assert list(await uow.holds.of_merchant("mch_1")) == [again, lifted]

    async def test_a_merchant_without_a_rule_of_its_own_is_as_the_defaults_say(self, stage: Stage) -> None:
        whose = stage.merchant.id
        rule = SettlementRule(
            merchant_id=whose,
            cycle=Cycle.WEEKLY,
            day=3,
            minimum=Money(100),
            maximum=Money(5_000_000),
            fee=Money(50),
            risk_days=7,
            source=Source(Rail.ALIPAY, "cha_1", "BASIC"),
            next_at=NOW,
            revision=2,
        )
        assert_every_field_is_filled(rule)
        async with stage.unit_of_work() as uow:
            assert await uow.settlement_rules.of(whose) == SettlementRule(merchant_id=whose)
            assert await uow.settlement_rules.lock(whose) == SettlementRule(merchant_id=whose)
            await uow.settlement_rules.save(rule)
        async with stage.unit_of_work() as uow:
            other = SettlementRule(merchant_id="mch_other")
            assert await uow.settlement_rules.many([whose, "mch_other"]) == {whose: rule, "mch_other": other}
            assert await uow.settlement_rules.lock(whose) == rule
            assert await uow.settlement_rules.claim_due(NOW - timedelta(seconds=1)) is None
            assert await uow.settlement_rules.claim_due(NOW) == rule
            await uow.settlement_rules.save(replace(rule, next_at=None))
        async with stage.unit_of_work() as uow:
            assert await uow.settlement_rules.claim_due(NOW) is None
