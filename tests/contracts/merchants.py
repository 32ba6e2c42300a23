"""Contract of what is kept of merchants beside themselves: products and prices, limits, credentials, health."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.attempts import Attempt
from domain.channels import EarlierMaterial, Material, Method, Mode
from domain.errors import NotFound
from domain.limits import Limit
from domain.merchants import BankAccount
from domain.money import FeePlan, Rate
from domain.payouts import PayeeKind
from domain.products import Binding, Product, ProductVersion, RateOverride
from domain.routing import Condition, Health, Trouble
from domain.times import shanghai_day
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled

PLAN = FeePlan(Rate(6_000), minimum=1, maximum=5_000, kept=True)
TODAY = shanghai_day(NOW)


async def product(stage: Stage, *plans: dict[Method, FeePlan], listed: bool = True) -> Product:
    """A stored product with a version of each of these plans, all valid from NOW."""
    made = Product(id=stage.ids.new("prd"), name="扫码支付", created_at=NOW, listed=listed)
    async with stage.unit_of_work() as uow:
        await uow.products.add(made)
        for n, each in enumerate(plans, 1):
            await uow.products.add_version(
                ProductVersion(product_id=made.id, n=n, plans=each, valid_from=NOW, created_at=NOW)
            )
    return made


class MerchantsContract(OnStage):
    async def test_a_merchant_is_saved_with_every_field(self, stage: Stage) -> None:
        changed = replace(
            stage.merchant,
            name="other",
            short_name="o",
            contacts=(),
            networks=(),
            orders_per_minute=None,
            payee=BankAccount(
                holder="h",
                bank="b",
                sealed=b"\x00",
                last4="0001",
                changed_at=NOW + timedelta(1),
                kind=PayeeKind.WECHAT_OPENID,
            ),
            active=True,
        )
        async with stage.unit_of_work() as uow:
            assert await uow.merchants.lock(stage.merchant.id) == stage.merchant
            await uow.merchants.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.merchants.get(stage.merchant.id) == changed
        async with stage.unit_of_work() as uow:
            await uow.merchants.save(replace(changed, payee=None))
        async with stage.unit_of_work() as uow:
            assert (await uow.merchants.get(stage.merchant.id)).payee is None

    async def test_merchants_come_in_pages_newest_first(self, stage: Stage) -> None:
        made = [replace(stage.merchant, id=stage.ids.new("mch")) for _ in range(3)]
        async with stage.unit_of_work() as uow:
            for each in made:
                await uow.merchants.add(each)
        newest = sorted([stage.merchant, *made], key=lambda each: each.id, reverse=True)
        async with stage.unit_of_work() as uow:
            assert list(await uow.merchants.page(before=None, limit=3)) == newest[:3]
            assert list(await uow.merchants.page(before=newest[2].id, limit=3)) == newest[3:]

    async def test_products_and_their_versions_come_back_as_they_were_stored(self, stage: Stage) -> None:
        first, second = {Method.ALIPAY_QR: PLAN}, {Method.ALIPAY_QR: FeePlan(Rate(0)), Method.WECHAT_NATIVE: PLAN}
        made = await product(stage, first, second)
        assert_every_field_is_filled(made)
        other = await product(stage, first)
        async with stage.unit_of_work() as uow:
            assert await uow.products.get(made.id) == made
            assert [version.plans for version in await uow.products.versions(made.id)] == [first, second]
            assert list(await uow.products.page(before=None, limit=9)) == [other, made]
            assert list(await uow.products.page(before=other.id, limit=9)) == [made]
            assert await uow.products.lock(made.id) == made
            await uow.products.save(made.off_shelf())
        async with stage.unit_of_work() as uow:
            assert not (await uow.products.get(made.id)).listed
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.products.lock("prd_0")

    async def test_what_stands_is_what_the_pure_rule_says_of_everything_that_was_agreed(self, stage: Stage) -> None:
        """A random history of bindings, versions and overrides, asked about at random instants."""
        dice = random.Random(20261101)
        products = [await product(stage) for _ in range(3)]

        def sometime() -> timedelta:
            return timedelta(hours=dice.randrange(6))  # few, so that some begin together

        def some_plan() -> FeePlan:
            return FeePlan(Rate(dice.randrange(10_000)), dice.randrange(3), dice.choice([None, 5_000]))

        async with stage.unit_of_work() as uow:
            for n in range(1, 6):
                for each in products:
                    plans = {method: some_plan() for method in dice.sample(list(Method), 4)}
                    start = NOW + sometime()
                    await uow.products.add_version(
                        ProductVersion(product_id=each.id, n=n, plans=plans, valid_from=start, created_at=NOW)
                    )
            for _ in range(6):
                binding = Binding(
                    id=stage.ids.new("bnd"),
                    merchant_id=stage.merchant.id,
                    product_id=dice.choice(products).id,
                    valid_from=NOW + sometime(),
                    created_at=NOW,
                )
                await uow.pricings.bind(binding)
            for _ in range(30):
                override = RateOverride(
                    id=stage.ids.new("rov"),
                    merchant_id=stage.merchant.id,
                    method=dice.choice(list(Method)),
                    plan=dice.choice([None, some_plan()]),
                    valid_from=NOW + sometime(),
                    created_at=NOW,
                )
                await uow.pricings.override(override)
        offered = set()
        async with stage.unit_of_work() as uow:
            pricing = await uow.pricings.of_merchant(stage.merchant.id)
            for hours in range(-1, 7):
                at = NOW + timedelta(hours=hours, minutes=-1)
                standing = await uow.pricings.standing(stage.merchant.id, at)
                assert standing.merchant == stage.merchant
                assert standing.plans == pricing.plans(at), at
                offered.add(len(standing.plans))
        assert offered == {0, 4}
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.pricings.standing("mch_0", NOW)

    async def test_limits_are_set_replaced_and_taken_away(self, stage: Stage) -> None:
        first, second = Limit(Method.WECHAT_NATIVE, single=100), Limit(Method.ALIPAY_QR, single=5, daily=9)
        async with stage.unit_of_work() as uow:
            await uow.limits.set(stage.merchant.id, replace(first, single=None, daily=7))
            await uow.limits.set(stage.merchant.id, second)
            await uow.limits.set(stage.merchant.id, first)
        async with stage.unit_of_work() as uow:
            assert list(await uow.limits.of_merchant(stage.merchant.id)) == [second, first]
            standing = await uow.pricings.standing(stage.merchant.id, NOW)
            assert standing.limits == {second.method: second, first.method: first}
            await uow.limits.set(stage.merchant.id, Limit(first.method))
        async with stage.unit_of_work() as uow:
            assert list(await uow.limits.of_merchant(stage.merchant.id)) == [second]

    async def test_a_day_takes_no_more_than_its_limit(self, stage: Stage) -> None:
        attempt = await self._counted(stage)
        tomorrow = replace(attempt, counted_on=TODAY + timedelta(days=1))
        async with stage.unit_of_work() as uow:
            assert not await uow.limits.reserve(attempt, 9_999)
            assert await uow.limits.reserve(attempt, 20_000)
            assert await uow.limits.reserve(attempt, 20_000)
            assert not await uow.limits.reserve(attempt, 29_999)
            assert not await uow.limits.reserve(attempt, 5_000)
            assert await uow.limits.reserve(tomorrow, 20_000)
        async with stage.unit_of_work() as uow:
            taken = await uow.limits.taken(stage.merchant.id, Mode.TEST, TODAY)
            assert taken == {Method.ALIPAY_QR: 20_000}
            assert await uow.limits.taken(stage.merchant.id, Mode.LIVE, TODAY) == {}

    async def test_a_days_amount_follows_the_attempts_that_count(self, stage: Stage) -> None:
        """Closed and failed ones give their part back; money that comes after all takes it again, limit or not."""
        attempt = await self._counted(stage)
        async with stage.unit_of_work() as uow:
            assert await uow.limits.reserve(attempt, 10_000)
            await uow.attempts.add(attempt)
        attempt, steps = replace(attempt, events=()), []
        for step in ("doubted", "closed", "succeeded", "succeeded"):
            async with stage.unit_of_work() as uow:
                attempt = getattr(await uow.attempts.lock(attempt.id), step)(NOW)
                await uow.attempts.save(attempt)
            async with stage.unit_of_work() as uow:
                steps.append((await uow.limits.taken(stage.merchant.id, Mode.TEST, TODAY))[Method.ALIPAY_QR])
        assert steps == [10_000, 0, 10_000, 10_000]

    async def test_an_attempt_that_no_limit_counted_changes_no_day(self, stage: Stage) -> None:
        attempt = await stage.attempt(await stage.order())
        async with stage.unit_of_work() as uow:
            await uow.attempts.save((await uow.attempts.lock(attempt.id)).closed(NOW))
        async with stage.unit_of_work() as uow:
            assert await uow.limits.taken(stage.merchant.id, Mode.TEST, TODAY) == {}

    async def test_a_credential_is_rotated_and_remembers_what_was_before(self, stage: Stage) -> None:
        material = Material(public={"serial": "02"}, sealed=b"new", fingerprints={"app_private_key": "ffff"})
        rotated = stage.credential.rotated(material, keep_until=NOW + timedelta(days=2))
        async with stage.unit_of_work() as uow:
            assert await uow.credentials.lock(stage.credential.id) == stage.credential
            await uow.credentials.save(rotated)
        async with stage.unit_of_work() as uow:
            stored = await uow.credentials.get(stage.credential.id)
            assert stored == rotated
            assert stored.version == stage.credential.version + 1
            assert stored.previous == EarlierMaterial(
                public=stage.credential.public, sealed=stage.credential.sealed, until=NOW + timedelta(days=2)
            )
            assert (await uow.accounts.access(stage.account.id)).credential == rotated
            assert list(await uow.credentials.accounts(stage.credential.id)) == [stage.account]
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.credentials.get("crd_0")

    async def test_an_account_is_saved_with_what_may_change(self, stage: Stage) -> None:
        changed = replace(
            stage.account,
            methods=frozenset({Method.ALIPAY_APP}),
            cost_rate=Rate(1),
            cost_rates={},
            priority=-2,
            enabled=False,
            sub_app_id=None,
            sealed=b"other",
        )
        own = stage.new_account(merchant_id=stage.merchant.id)
        async with stage.unit_of_work() as uow:
            assert await uow.accounts.lock(stage.account.id) == stage.account
            await uow.accounts.save(changed)
            await uow.accounts.add(own)
        async with stage.unit_of_work() as uow:
            assert (await uow.accounts.access(stage.account.id)).account == changed
            page = await uow.accounts.page(before=None, limit=5)
            assert [access.account for access in page] == sorted([changed, own], key=lambda each: each.id, reverse=True)
            (mine,) = await uow.accounts.page(before=None, limit=5, merchant_id=stage.merchant.id)
            assert mine.account == own
            assert await uow.accounts.page(before=min(own.id, changed.id), limit=5) == []

    async def test_health_is_a_row_only_while_something_is_wrong(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            health = await uow.health.lock(stage.account.id, Method.ALIPAY_QR, NOW)
            assert health == Health(account_id=stage.account.id, method=Method.ALIPAY_QR, since=NOW)
            ill = health.failed(Trouble.REFUSED, "ACCESS_FORBIDDEN", NOW)
            await uow.health.save(ill)
        assert_every_field_is_filled(ill)
        async with stage.unit_of_work() as uow:
            (serving,) = await uow.accounts.serving(stage.merchant.id, Mode.TEST)
            assert serving.health_of(Method.ALIPAY_QR) == ill
            assert serving.health_of(Method.ALIPAY_WAP) is None
            assert await uow.health.lock(stage.account.id, Method.ALIPAY_QR, NOW) == ill
            await uow.health.recovered(stage.account.id, Method.ALIPAY_QR)
        async with stage.unit_of_work() as uow:
            (serving,) = await uow.accounts.serving(stage.merchant.id, Mode.TEST)
            assert serving.health == ()

    async def test_one_caller_gets_the_trial_of_an_account_whose_pause_is_over(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            ill = (await uow.health.lock(stage.account.id, Method.ALIPAY_QR, NOW)).failed(Trouble.REFUSED, "no", NOW)
            await uow.health.save(ill)
        assert ill.paused_until is not None
        async with stage.unit_of_work() as uow:
            assert not await uow.health.try_again(ill, ill.paused_until - timedelta(seconds=1))
            assert await uow.health.try_again(ill, ill.paused_until)
            assert not await uow.health.try_again(ill, ill.paused_until)
        async with stage.unit_of_work() as uow:
            (serving,) = await uow.accounts.serving(stage.merchant.id, Mode.TEST)
            assert serving.condition(Method.ALIPAY_QR, ill.paused_until) is Condition.PAUSED

    async def _counted(self, stage: Stage, **changes: object) -> Attempt:
        return stage.new_attempt(await stage.order(), **{"counted_on": TODAY, **changes})
