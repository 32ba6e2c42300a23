"""Idempotency keys: one run, one answer."""

import asyncio

import pytest

from application.answer_once import PurgeIdempotencyKeys
from domain.channels import Mode
from domain.errors import ChannelUnavailable, InProgress, InvalidRequest
from domain.idempotency import KEPT, RUNNING, IdempotencyKey
from tests.fakes.clock import FakeClock
from tests.fakes.house import House


def key(text: str = "k-1", body: bytes = b"body", merchant: str = "mch_1", mode: Mode = Mode.TEST) -> IdempotencyKey:
    return IdempotencyKey(merchant_id=merchant, mode=mode, key=text, fingerprint=body)


class Call:
    """Counts its runs and answers with the count."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self) -> tuple[int, bytes]:
        self.runs += 1
        await asyncio.sleep(0)
        return 201, str(self.runs).encode()


async def test_a_repetition_gets_the_first_answer_byte_for_byte(house: House) -> None:
    call = Call()
    first = await house.answer_once(key(), call)
    again = await house.answer_once(key(), call)
    assert (first.status, first.body, first.replayed) == (201, b"1", False)
    assert (again.status, again.body, again.replayed) == (201, b"1", True)


async def test_without_a_key_every_call_runs(house: House) -> None:
    call = Call()
    await house.answer_once(None, call)
    assert (await house.answer_once(None, call)).body == b"2"


async def test_another_body_under_a_used_key_is_refused(house: House) -> None:
    call = Call()
    await house.answer_once(key(), call)
    with pytest.raises(InvalidRequest) as refused:
        await house.answer_once(key(body=b"other"), call)
    assert refused.value.code == "idempotency_key_reused"
    assert call.runs == 1


async def test_merchants_and_modes_have_keys_of_their_own(house: House) -> None:
    call = Call()
    for other in (key(), key(merchant="mch_2"), key(mode=Mode.LIVE), key("k-2")):
        assert not (await house.answer_once(other, call)).replayed
    assert call.runs == 4


async def test_of_many_at_once_one_runs_and_the_others_are_told_to_wait(house: House) -> None:
    call = Call()
    answers = await asyncio.gather(*(house.answer_once(key(), call) for _ in range(8)), return_exceptions=True)
    assert call.runs == 1
    assert all(isinstance(answer, InProgress) or answer.body == b"1" for answer in answers)  # type: ignore[union-attr]


async def test_a_failed_run_frees_its_key(house: House) -> None:
    async def fail() -> tuple[int, bytes]:
        raise ChannelUnavailable

    with pytest.raises(ChannelUnavailable):
        await house.answer_once(key(), fail)
    assert (await house.answer_once(key(), Call())).body == b"1"


async def test_a_run_that_died_is_run_again_after_a_minute(house: House, clock: FakeClock) -> None:
    async with house.database.unit_of_work() as uow:
        await uow.idempotency.claim(key(), now=clock.now())
    with pytest.raises(InProgress):
        await house.answer_once(key(), Call())
    clock.advance(RUNNING.total_seconds() + 1)
    assert (await house.answer_once(key(), Call())).body == b"1"


async def test_keys_are_forgotten_after_a_week(house: House, clock: FakeClock) -> None:
    purge = PurgeIdempotencyKeys(house.database.unit_of_work, house.clock)
    await house.answer_once(key(), Call())
    clock.advance(KEPT.total_seconds() - 60)
    assert await purge() == 0
    clock.advance(200)
    assert await purge() == 1
