"""API keys: shown once, rolled with an overlap, dead within a second of a revocation, giving no more than they have."""

from datetime import timedelta

import pytest

from application.keep_keys import MOST_LIVE
from application.open_merchant import OpenedMerchant
from domain.channels import Mode
from domain.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from domain.merchants import Caller, Scope
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller

HOUR = timedelta(hours=1)


async def works(house: House, text: str) -> bool:
    try:
        await house.authenticate(text)
    except Unauthenticated:
        return False
    return True


async def test_a_new_key_opens_the_api_with_its_scopes_and_mode(house: House, merchant: OpenedMerchant) -> None:
    key, text = await house.keep_keys.make(caller(merchant), name="till", scopes=frozenset({Scope.ORDERS_READ}))
    opened = Caller(merchant.merchant.id, Mode.TEST, frozenset({Scope.ORDERS_READ}), key.id)
    assert await house.authenticate(text) == opened
    assert (key.last4, key.name) == (text[-4:], "till")
    assert text not in str(house.database.tables.api_keys.committed)
    assert text not in str(key.snapshot())


async def test_a_rolled_key_works_beside_its_heir_for_the_overlap_only(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    key, old = await house.keep_keys.make(caller(merchant), scopes=frozenset({Scope.ORDERS_READ}))
    heir, new = await house.keep_keys.roll(caller(merchant), key.id, overlap=2 * HOUR)
    assert heir.scopes == key.scopes
    clock.advance(2 * 3_600 - 1)
    assert (await works(house, old), await works(house, new)) == (True, True)
    clock.advance(1)
    assert (await works(house, old), await works(house, new)) == (False, True)


async def test_rolling_prolongs_nothing(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    key, old = await house.keep_keys.make(caller(merchant), expires_in=HOUR)
    clock.advance(1_800)
    heir, _ = await house.keep_keys.roll(caller(merchant), key.id, overlap=24 * HOUR)
    assert heir.expires_at == clock.now() + HOUR, "as long as the first one had, and no longer"
    clock.advance(1_800)
    assert not await works(house, old), "the overlap is within what was left"


async def test_a_revoked_key_is_dead_within_a_second_in_every_process(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    key, text = await house.keep_keys.make(caller(merchant))
    elsewhere = house.another_process()
    assert await works(house, text)
    assert await works(elsewhere, text)
    revoked = await house.keep_keys.revoke(caller(merchant), key.id)
    clock.advance(1)
    assert not await works(house, text)
    assert not await works(elsewhere, text)
    assert await house.keep_keys.revoke(caller(merchant), key.id) == revoked
    with pytest.raises(Conflict):
        await house.keep_keys.roll(caller(merchant), key.id, overlap=HOUR)


async def test_nobody_gives_away_more_than_it_has(house: House, merchant: OpenedMerchant) -> None:
    mine = caller(merchant)
    full, _ = await house.keep_keys.make(mine)
    narrow = Caller(mine.merchant_id, mine.mode, frozenset({Scope.KEYS_WRITE, Scope.ORDERS_READ}))
    with pytest.raises(Forbidden):
        await house.keep_keys.make(narrow, scopes=frozenset({Scope.ORDERS_READ, Scope.REFUNDS_WRITE}))
    with pytest.raises(Forbidden):
        await house.keep_keys.roll(narrow, full.id, overlap=HOUR)
    heir, _ = await house.keep_keys.make(narrow)
    assert heir.scopes == narrow.scopes


async def test_a_key_of_another_merchant_or_mode_is_not_found(house: House, merchant: OpenedMerchant) -> None:
    key, text = await house.keep_keys.make(caller(merchant))
    for stranger in (caller(await house.merchant()), Caller(merchant.merchant.id, Mode.LIVE)):
        with pytest.raises(NotFound):
            await house.keep_keys.revoke(stranger, key.id)
        with pytest.raises(NotFound):
            await house.keep_keys.roll(stranger, key.id, overlap=HOUR)
        assert key.id not in [each.id for each in await house.keep_keys.all(stranger)]
    assert await works(house, text)


@pytest.mark.parametrize("overlap", [-HOUR, timedelta(days=7, seconds=1)])
async def test_an_overlap_has_limits(house: House, merchant: OpenedMerchant, overlap: timedelta) -> None:
    key, _ = await house.keep_keys.make(caller(merchant))
    with pytest.raises(InvalidRequest):
        await house.keep_keys.roll(caller(merchant), key.id, overlap=overlap)


async def test_live_keys_are_limited_and_dead_ones_do_not_count(house: House, merchant: OpenedMerchant) -> None:
    made = [await house.keep_keys.make(caller(merchant)) for _ in range(MOST_LIVE - 1)]
    with pytest.raises(Conflict, match="at most"):
        await house.keep_keys.make(caller(merchant))
    await house.keep_keys.revoke(caller(merchant), made[0][0].id)
    await house.keep_keys.make(caller(merchant))


async def test_a_use_is_seen_to_the_minute_and_written_once_in_it(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    began = clock.now()
    for _ in range(119):  # every half second, for a minute
        assert await works(house, merchant.api_key)
        clock.advance(0.5)
    used = (await house.keep_keys.all(caller(merchant)))[0].last_used_at
    assert used == began
    clock.advance(1)
    await works(house, merchant.api_key)
    assert (await house.keep_keys.all(caller(merchant)))[0].last_used_at == clock.now()


async def test_a_use_that_cannot_be_written_does_not_refuse_the_call(house: House, merchant: OpenedMerchant) -> None:
    house.database.faults.once(DatabaseFault.LOST_CONNECTION, at="keys.used")
    assert await works(house, merchant.api_key)
    assert house.database.tables.api_keys.committed
    assert all(key.last_used_at is None for key in house.database.tables.api_keys.committed.values())


async def test_a_refused_key_leaves_no_trace_of_use(house: House, merchant: OpenedMerchant) -> None:
    key, text = await house.keep_keys.make(caller(merchant))
    await house.keep_keys.revoke(caller(merchant), key.id)
    assert not await works(house, text)
    assert house.database.tables.api_keys.committed[key.id].last_used_at is None
