"""What is remembered for a second, and what never is."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.open_merchant import OpenedMerchant
from application.recent import KEPT_AT_MOST, KEPT_FOR, Recent
from domain.channels import Channel, Method
from domain.errors import DatabaseUnavailable, NotFound, Unauthenticated
from domain.merchants import key_digest
from tests.fakes.clock import FakeClock
from tests.fakes.house import PEPPER, House, caller


class Book:
    """Counts its readings."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.read: list[str] = []

    async def look_up(self, key: str) -> str | None:
        self.read.append(key)
        return self.content.get(key)


async def test_what_was_found_is_read_again_in_half_a_second(clock: FakeClock) -> None:
    book, recent = Book(), Recent[str, str]()
    book.content["a"] = "first"
    assert await recent.get("a", clock.now(), book.look_up) == "first"
    book.content["a"] = "second"
    assert await recent.get("a", clock.now() + KEPT_FOR / 2 - timedelta(milliseconds=1), book.look_up) == "first"
    assert book.read == ["a"]
    assert await recent.get("a", clock.now() + KEPT_FOR / 2, book.look_up) == "second"


async def test_one_of_many_callers_reads_it_again_and_the_others_do_not_wait(clock: FakeClock) -> None:
    book, recent, gate = Book(), Recent[str, str](), asyncio.Event()
    book.content["a"] = "first"
    await recent.get("a", clock.now(), book.look_up)
    book.content["a"] = "second"

    async def slowly(key: str) -> str | None:
        await gate.wait()
        return await book.look_up(key)

    later = clock.now() + KEPT_FOR - timedelta(milliseconds=1)
    renewing = asyncio.create_task(recent.get("a", later, slowly))
    await asyncio.sleep(0)
    assert [await recent.get("a", later, slowly) for _ in range(3)] == ["first"] * 3
    past = asyncio.create_task(recent.get("a", clock.now() + KEPT_FOR, slowly))
    await asyncio.sleep(0)
    assert not past.done(), "what is a second old is believed no longer, whoever is reading it"
    gate.set()
    assert [await renewing, await past] == ["second", "second"]


async def test_a_reading_that_failed_is_tried_again_by_the_next(clock: FakeClock) -> None:
    book, recent = Book(), Recent[str, str]()
    book.content["a"] = "first"
    await recent.get("a", clock.now(), book.look_up)

    async def broken(_: str) -> str | None:
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        await recent.get("a", clock.now() + KEPT_FOR / 2, broken)
    book.content["a"] = "second"
    assert await recent.get("a", clock.now() + KEPT_FOR / 2, book.look_up) == "second"


async def test_what_is_not_there_is_looked_for_each_time(clock: FakeClock) -> None:
    book, recent = Book(), Recent[str, str]()
    assert await recent.get("a", clock.now(), book.look_up) is None
    book.content["a"] = "new"
    assert await recent.get("a", clock.now(), book.look_up) == "new"
    del book.content["a"]
    assert await recent.get("a", clock.now() + KEPT_FOR, book.look_up) is None
    assert await recent.get("a", clock.now(), book.look_up) is None


async def test_a_clock_set_back_makes_nothing_last_longer(clock: FakeClock) -> None:
    book, recent = Book(), Recent[str, str]()
    book.content["a"] = "first"
    await recent.get("a", clock.now(), book.look_up)
    book.content["a"] = "second"
    assert await recent.get("a", clock.now() - timedelta(hours=1), book.look_up) == "second"


async def test_it_does_not_grow_without_end(clock: FakeClock) -> None:
    book, recent = Book(), Recent[str, str]()
    for n in range(3 * KEPT_AT_MOST):
        book.content[str(n)] = "x"
        await recent.get(str(n), clock.now(), book.look_up)
    assert len(recent._kept) <= KEPT_AT_MOST


async def test_a_revoked_key_is_refused_a_second_later(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.authenticate(merchant.api_key)
    keys = house.database.tables.api_keys.committed
    ((id_, key),) = keys.items()
    keys[id_] = replace(key, revoked_at=clock.now())
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        await house.authenticate(merchant.api_key)


async def test_a_key_expires_on_time_though_it_is_remembered(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    keys = house.database.tables.api_keys.committed
    ((id_, key),) = keys.items()
    assert key.digest == key_digest(merchant.api_key, PEPPER)
    keys[id_] = replace(key, expires_at=clock.now() + timedelta(seconds=0.5))
    await house.authenticate(merchant.api_key)
    clock.advance(0.5)
    with pytest.raises(Unauthenticated):
        await house.authenticate(merchant.api_key)


async def test_a_replaced_credential_verifies_a_second_later(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    with pytest.raises(NotFound):
        await house.receive_notice(Channel.ALIPAY, "cha_none", {}, b"")
    assert not (await house.receive_notice(Channel.ALIPAY, attempt.account_id, {}, b"")).accepted
    credentials = house.database.tables.credentials.committed
    for id_, credential in list(credentials.items()):
        credentials[id_] = replace(credential, version=2, sealed=b"rotated")
    house.alipay.pay(attempt.number)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    report = await house.alipay.query(access, attempt.number)
    headers, body = house.alipay.sign(access, report, id="n-1")
    clock.advance(1)
    assert (await house.receive_notice(Channel.ALIPAY, attempt.account_id, headers, body)).accepted
