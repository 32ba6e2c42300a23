"""Contracts of time and identity."""

import asyncio
from datetime import timedelta

from application.ports.world import Clock, Ids
from domain.events import event_id
from domain.numbers import channel_number, is_ours

CROCKFORD = frozenset("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


class ClockContract:
    """A subclass supplies the fixture ``clock``."""

    async def test_now_is_aware_utc(self, clock: Clock) -> None:
        assert clock.now().utcoffset() == timedelta(0)

    async def test_time_does_not_go_back(self, clock: Clock) -> None:
        times = []
        for _ in range(20):
            times.append(clock.now())
            await asyncio.sleep(0)
        assert times == sorted(times)


class IdsContract:
    """A subclass supplies the fixture ``ids``."""

    async def test_an_id_is_its_prefix_and_a_ulid(self, ids: Ids) -> None:
        for _ in range(50):
            prefix, _, ulid = ids.new("ord").partition("_")
            assert prefix == "ord"
            assert len(ulid) == 26
            assert CROCKFORD.issuperset(ulid)
            assert ulid[0] in "01234567", "128 bits fill 26 characters but for the first two bits"

    async def test_no_two_ids_are_alike(self, ids: Ids) -> None:
        assert len({ids.new("ord") for _ in range(2_000)}) == 2_000

    async def test_later_ids_sort_after_earlier_ones_to_the_millisecond(self, ids: Ids) -> None:
        earlier = ids.new("ord")
        await asyncio.sleep(0.002)
        later = [ids.new("ord") for _ in range(20)]
        assert all(each[:14] >= earlier[:14] for each in later)

    async def test_an_id_serves_for_numbers_and_events(self, ids: Ids) -> None:
        assert is_ours(channel_number(ids.new("num").removeprefix("num_")))
        assert len(event_id(ids.new("ord"), "order.paid")) == 30

    async def test_a_token_is_base62_of_the_length_asked_and_never_comes_twice(self, ids: Ids) -> None:
        tokens = {ids.token(27) for _ in range(500)}
        assert len(tokens) == 500
        assert all(len(token) == 27 and token.isascii() and token.isalnum() for token in tokens)
        assert len(set("".join(tokens))) == 62
