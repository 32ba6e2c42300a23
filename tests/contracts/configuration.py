"""Contract of the repositories of what is configured: merchants, keys, channel accounts, webhook endpoints."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Access, Mode
from domain.codes import StaticCode
from domain.errors import NotFound
from domain.merchants import ApiKey, Scope
from domain.money import Money
from domain.notifications import Disabled
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled, soon


class ConfigurationContract(OnStage):
    async def test_a_merchant_comes_back_as_it_was_stored(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            merchant = await uow.merchants.get(stage.merchant.id)
        assert merchant == stage.merchant
        assert_every_field_is_filled(merchant)

    async def test_an_unknown_merchant_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.merchants.get("mch_00000000000000000000000000")

    async def test_a_key_is_found_by_its_digest_alone(self, stage: Stage) -> None:
        key = ApiKey(
            id=stage.ids.new("key"),
            merchant_id=stage.merchant.id,
            mode=Mode.TEST,
            digest=bytes(range(32)),
            last4="abcd",
            created_at=NOW,
            expires_at=NOW + timedelta(days=1),
            revoked_at=NOW + timedelta(hours=1),
            name="the till 收银台",
            scopes=frozenset({Scope.ORDERS_READ, Scope.REFUNDS_WRITE}),
            last_used_at=NOW,
        )
        assert_every_field_is_filled(key)
        async with stage.unit_of_work() as uow:
            await uow.keys.add(key)
        async with stage.unit_of_work() as uow:
            assert await uow.keys.find(key.digest) == key
            assert await uow.keys.find(bytes(32)) is None
            assert await uow.keys.lock(key.id) == key
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.keys.lock("key_00000000000000000000000000")

    async def _api_key(self, stage: Stage, n: int, **changes: Any) -> ApiKey:
        key = ApiKey(
            id=stage.ids.new("key"),
            merchant_id=stage.merchant.id,
            mode=Mode.TEST,
            digest=bytes([n]) * 32,
            last4="abcd",
            created_at=NOW + n * timedelta(seconds=1),
        )
        key = replace(key, **changes)
        async with stage.unit_of_work() as uow:
            await uow.keys.add(key)
        return key

    async def test_a_merchants_keys_are_listed_newest_first(self, stage: Stage) -> None:
        first, second, third = [await self._api_key(stage, n) for n in range(3)]
        await self._api_key(stage, 3, mode=Mode.LIVE)
        async with stage.unit_of_work() as uow:
            assert list(await uow.keys.of_merchant(stage.merchant.id, Mode.TEST, limit=9)) == [third, second, first]
            assert list(await uow.keys.of_merchant(stage.merchant.id, Mode.TEST, limit=2)) == [third, second]

    async def test_a_saved_key_keeps_what_saving_is_not_for(self, stage: Stage) -> None:
        key = await self._api_key(stage, 1)
        async with stage.unit_of_work() as uow:
            await uow.keys.used(key.id, NOW)
        async with stage.unit_of_work() as uow:
            await uow.keys.lock(key.id)
            await uow.keys.save(replace(key, name="till", expires_at=NOW, revoked_at=NOW))
        async with stage.unit_of_work() as uow:
            assert await uow.keys.find(key.digest) == replace(
                key, name="till", expires_at=NOW, revoked_at=NOW, last_used_at=NOW
            )

    async def test_a_use_is_written_at_most_once_a_minute_and_never_backwards(self, stage: Stage) -> None:
        key, minute = await self._api_key(stage, 1), timedelta(minutes=1)
        for at, written in (
            (NOW, NOW),
            (NOW + minute / 2, NOW),
            (NOW + minute, NOW + minute),
            (NOW, NOW + minute),
        ):
            async with stage.unit_of_work() as uow:
                await uow.keys.used(key.id, at)
            async with stage.unit_of_work() as uow:
                found = await uow.keys.find(key.digest)
            assert found is not None
            assert found.last_used_at == written

    async def test_a_use_waits_for_nobody_who_holds_the_key(self, stage: Stage) -> None:
        key = await self._api_key(stage, 1)

        async def use() -> None:
            async with stage.unit_of_work() as uow:
                await uow.keys.used(key.id, NOW)

        async with stage.unit_of_work() as uow:
            await uow.keys.lock(key.id)
            await soon(asyncio.create_task(use()))
        async with stage.unit_of_work() as uow:
            assert await uow.keys.find(key.digest) == key

    async def test_an_account_comes_with_its_credential(self, stage: Stage) -> None:
        own = stage.new_account(merchant_id=stage.merchant.id, enabled=False, priority=-1)
        assert_every_field_is_filled(own)
        assert_every_field_is_filled(stage.credential)
        async with stage.unit_of_work() as uow:
            await uow.accounts.add(own)
        async with stage.unit_of_work() as uow:
            assert await uow.accounts.access(own.id) == Access(own, stage.credential)
            assert await uow.accounts.access(stage.account.id) == Access(stage.account, stage.credential)

    async def test_an_unknown_account_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.accounts.access("cha_00000000000000000000000000")

    async def test_a_merchants_own_accounts_serve_before_the_platforms_each_by_priority(self, stage: Stage) -> None:
        other = replace(stage.merchant, id=stage.ids.new("mch"))
        own_low = stage.new_account(merchant_id=stage.merchant.id, priority=0)
        own_high = stage.new_account(merchant_id=stage.merchant.id, priority=1)
        platform_high = stage.new_account(priority=9)
        refused = (
            stage.new_account(enabled=False),
            stage.new_account(mode=Mode.LIVE),
            stage.new_account(merchant_id=other.id, priority=99),
        )
        async with stage.unit_of_work() as uow:
            await uow.merchants.add(other)
            for account in (own_low, platform_high, own_high, *refused):
                await uow.accounts.add(account)
        async with stage.unit_of_work() as uow:
            serving = await uow.accounts.serving(stage.merchant.id, Mode.TEST)
        assert [each.account for each in serving] == [own_high, own_low, platform_high, stage.account]
        assert all(each.access.credential == stage.credential for each in serving)

    async def test_an_endpoint_comes_back_with_every_field(self, stage: Stage) -> None:
        endpoint = await stage.endpoint()
        changed = replace(
            endpoint,
            url="https://shop.example/other",
            sealed=b"new",
            event_types=frozenset({"order.paid", "order.closed"}),
            previous_sealed=b"old",
            previous_until=NOW + timedelta(days=1),
            enabled=False,
            enabled_at=NOW,
            disabled=Disabled.GONE,
            disabled_at=NOW + timedelta(hours=1),
            revision=3,
        )
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.endpoints.get(endpoint.id) == endpoint
            assert await uow.endpoints.lock(endpoint.id) == endpoint
            await uow.endpoints.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.endpoints.get(endpoint.id) == changed

    async def test_endpoints_are_read_together_and_unknown_ones_are_left_out(self, stage: Stage) -> None:
        first, second, _ = [await stage.endpoint(f"https://shop.example/{n}") for n in range(3)]
        async with stage.unit_of_work() as uow:
            found = await uow.endpoints.many({second.id, first.id, "whe_00000000000000000000000000"})
        assert found == {first.id: first, second.id: second}

    async def test_an_unknown_endpoint_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.endpoints.get("whe_00000000000000000000000000")
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.endpoints.lock("whe_00000000000000000000000000")

    async def test_an_endpoints_events_are_stored_with_it_and_announced_where_they_say_so(self, stage: Stage) -> None:
        endpoint = await stage.endpoint()
        tested = endpoint.tested(NOW)
        gone = replace(tested, events=()).given_up(Disabled.GONE, NOW)
        async with stage.unit_of_work() as uow:
            await uow.endpoints.lock(endpoint.id)
            await uow.endpoints.save(tested)
        async with stage.unit_of_work() as uow:
            await uow.endpoints.lock(endpoint.id)
            await uow.endpoints.save(gone)
        async with stage.unit_of_work() as uow:
            assert await uow.events.get(tested.events[0].id) == tested.events[0]
            assert list(await uow.outbox.claim(limit=9)) == list(gone.events)
            assert await uow.endpoints.get(endpoint.id) == replace(gone, events=())

    @pytest.mark.parametrize("url", ["https://shop.example/hooks", None])
    async def test_a_merchant_has_an_address_once_in_each_mode(self, stage: Stage, url: str | None) -> None:
        await stage.endpoint(url)
        await stage.endpoint(url, mode=Mode.LIVE)
        with pytest.raises(AlreadyExists) as caught:
            await stage.endpoint(url)
        assert caught.value.constraint == "uq_webhook_endpoint_url"

    async def test_a_merchants_endpoints_are_listed_oldest_first_enabled_or_not(self, stage: Stage) -> None:
        second = await stage.endpoint("https://shop.example/2", created_at=NOW + timedelta(seconds=1), enabled=False)
        first = await stage.endpoint("https://shop.example/1")
        await stage.endpoint("https://shop.example/3", mode=Mode.LIVE)
        async with stage.unit_of_work() as uow:
            assert list(await uow.endpoints.of_merchant(stage.merchant.id, Mode.TEST)) == [first, second]
            assert list(await uow.endpoints.of_merchant("mch_nobody", Mode.TEST)) == []


class CodesContract(OnStage):
    def new_code(self, stage: Stage, **changes: Any) -> StaticCode:
        code = StaticCode(
            id=stage.ids.new("cod"),
            merchant_id=stage.merchant.id,
            mode=Mode.TEST,
            token=stage.ids.token(27),
            name="收银台 3 & <b>",
            created_at=NOW,
            amount=Money(1_990),
            most=Money(100_000),
            enabled=False,
        )
        return replace(code, **changes)

    async def test_a_code_comes_back_with_every_field(self, stage: Stage) -> None:
        code, bare = self.new_code(stage), self.new_code(stage, amount=None, created_at=NOW + timedelta(seconds=1))
        other = self.new_code(stage, mode=Mode.LIVE)
        assert_every_field_is_filled(code)
        async with stage.unit_of_work() as uow:
            for each in (bare, other, code):
                await uow.codes.add(each)
        async with stage.unit_of_work() as uow:
            assert await uow.codes.get(code.id) == code
            assert await uow.codes.by_token(bare.token) == bare
            assert list(await uow.codes.of_merchant(stage.merchant.id, Mode.TEST)) == [code, bare]
            await uow.codes.save(code.switched(enabled=True))
        async with stage.unit_of_work() as uow:
            assert await uow.codes.get(code.id) == replace(code, enabled=True)

    async def test_unknown_codes_are_not_found(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            with pytest.raises(NotFound):
                await uow.codes.get("cod_00000000000000000000000000")
            with pytest.raises(NotFound):
                await uow.codes.by_token("nobody")
