"""Ids that sort by time, and tokens that cannot be guessed."""

import re
from concurrent.futures import ThreadPoolExecutor

from bootstrap.ids import SystemIds

NOON = 1_790_000_000_000


def test_an_id_is_a_prefix_and_a_ulid() -> None:
    assert re.fullmatch(r"ord_[0-7][0-9A-HJKMNP-TV-Z]{25}", SystemIds().new("ord"))


def test_the_time_is_readable_in_an_id() -> None:
    # The ULID specification's own example: 1469918176385 is 01ARYZ6S41.
    assert SystemIds(lambda: 1469918176385).new("x").startswith("x_01ARYZ6S41")


def test_ids_of_one_millisecond_ascend() -> None:
    ids = SystemIds(lambda: NOON)
    made = [ids.new("a") for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000


def test_ids_ascend_while_the_clock_is_set_back() -> None:
    clock = iter([NOON, NOON - 60_000, NOON - 30_000, NOON + 1])
    ids = SystemIds(lambda: next(clock))
    made = [ids.new("a") for _ in range(4)]
    assert made == sorted(made)
    assert len(set(made)) == 4


def test_two_processes_of_one_millisecond_do_not_meet() -> None:
    assert SystemIds(lambda: NOON).new("a") != SystemIds(lambda: NOON).new("a")


def test_threads_share_one_maker_without_doubles() -> None:
    ids = SystemIds(lambda: NOON)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: ids.new("a"), range(4000)))
    assert len(set(made)) == 4000


def test_a_token_has_its_length_and_uses_all_of_base62() -> None:
    ids = SystemIds()
    assert re.fullmatch(r"[0-9A-Za-z]{37}", ids.token(37))
    assert len(set(ids.token(5000))) == 62
    assert ids.token(32) != ids.token(32)
