"""Numbers, keys and ids show a slip of the pen, and say the same thing every time."""

import itertools
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.channels import Mode
from domain.errors import Unauthenticated
from domain.events import event_id
from domain.merchants import KEY_RANDOM, key_digest, make_key
from domain.numbers import PREFIX, channel_number, is_ours
from domain.tokens import BASE62
from tests.unit.domain.samples import ULID

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS = string.digits + string.ascii_uppercase
ulids = st.text(CROCKFORD, min_size=26, max_size=26)
randoms = st.text(BASE62, min_size=KEY_RANDOM, max_size=KEY_RANDOM)


# ── channel numbers ──────────────────────────────────────────────────────────────────────────────────────────────────


@given(ulids)
def test_a_number_is_ours_and_fits_both_channels(ulid: str) -> None:
    number = channel_number(ulid)
    assert is_ours(number)
    assert len(number) == 30
    assert set(number) <= set(LETTERS)


@pytest.mark.parametrize("position", [0, 1, 12, 24, 25])
def test_one_wrong_character_is_never_ours(position: int) -> None:
    at, passed = len(PREFIX) + position, list[str]()
    for old, new in itertools.product(CROCKFORD, LETTERS):
        number = channel_number(ULID[:position] + old + ULID[position + 1 :])
        if new != old and is_ours(number[:at] + new + number[at + 1 :]):
            passed.append(f"{old} written as {new}")
    assert passed == []


@given(ulids, st.integers(0, 29), st.sampled_from(LETTERS + string.ascii_lowercase + "-_ \n"))
@example(ULID[:25] + "0", 28, "Z")
def test_one_wrong_character_anywhere_is_never_ours(ulid: str, at: int, new: str) -> None:
    number = channel_number(ulid)
    assume(number[at] != new)
    assert not is_ours(number[:at] + new + number[at + 1 :])


@pytest.mark.parametrize("position", [0, 12, 24])
def test_two_exchanged_neighbours_are_never_ours(position: int) -> None:
    at, passed = len(PREFIX) + position, list[str]()
    for first, second in itertools.permutations(CROCKFORD, 2):
        number = channel_number(ULID[:position] + first + second + ULID[position + 2 :])
        if is_ours(number[:at] + second + first + number[at + 2 :]):
            passed.append(f"{first}{second} written as {second}{first}")
    assert passed == []


@given(ulids)
def test_a_check_character_exchanged_with_its_neighbour_is_never_ours(ulid: str) -> None:
    number = channel_number(ulid)
    assume(number[-1] != number[-2])
    assert not is_ours(number[:-2] + number[-1] + number[-2])


@pytest.mark.parametrize(
    "number",
    [
        "",
        "PTY",
        "PTY0",
        channel_number(ULID)[:-1],
        channel_number(ULID) + "0",
        channel_number(ULID).lower(),
        channel_number(ULID) + "\n",
        "XTY" + channel_number(ULID)[3:],
        "2026112200001",
        "火龙果" * 10,
    ],
)
def test_other_numbers_are_foreign(number: str) -> None:
    assert not is_ours(number)


# ── API keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(Mode), randoms)
def test_a_key_says_its_mode_and_is_stored_as_a_digest_only(mode: Mode, random: str) -> None:
    key = make_key(mode, random)
    assert key.startswith(f"pty_sk_{mode}_")
    digest = key_digest(key, b"pepper")
    assert len(digest) == 32
    assert digest == key_digest(key, b"pepper")
    assert digest != key_digest(key, b"paprika")


@given(st.sampled_from(Mode), randoms, st.data())
def test_one_wrong_character_of_a_key_is_noticed_before_the_database_is_asked(
    mode: Mode, random: str, data: st.DataObject
) -> None:
    key = make_key(mode, random)
    at = data.draw(st.integers(0, len(key) - 1))
    new = data.draw(st.sampled_from(BASE62 + "_- é\n"))
    assume(key[at] != new)
    with pytest.raises(Unauthenticated) as caught:
        key_digest(key[:at] + new + key[at + 1 :], b"pepper")
    assert caught.value.code == "api_key_invalid"


@given(st.text())
@example("pty_sk_test_")
@example("pty_sk_test_" + "é" * 43)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        key_digest(text, b"pepper")


# ── event ids ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_id_is_the_same_for_ever() -> None:
    assert event_id(f"ord_{ULID}", "order.paid") == event_id(f"ord_{ULID}", "order.paid", 1)
    assert event_id("ord_01KAMVF6R0ABCDEFGHJKMNPQRS", "order.paid") == "evt_01KAMVF6R0JZV1DX7NHV25PTZR"


@given(ulids, st.integers(1, 9), st.integers(1, 9))
def test_an_event_id_is_a_ulid_of_its_objects_time_and_tells_types_and_turns_apart(ulid: str, n: int, m: int) -> None:
    first, second = event_id(f"ord_{ulid}", "order.paid", n), event_id(f"ord_{ulid}", "order.paid", m)
    assert (first == second) == (n == m)
    assert first.startswith(f"evt_{ulid[:10]}")
    assert len(first) == 30
    assert set(first[4:]) <= set(CROCKFORD)
    assert first != event_id(f"ord_{ulid}", "order.closed", n)
