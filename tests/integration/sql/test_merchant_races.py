"""Merchants' rules on real PostgreSQL, many at once: a day's limit, one trial, one rotation, numbered versions."""

import asyncio
from datetime import timedelta

from application.keep_accounts import CheckAccess, KeepAccounts
from application.keep_products import ChangePrices
from domain.actors import SYSTEM
from domain.channels import Access, Channel, ChannelReport, Credential, Method, Mode
from domain.errors import Conflict
from domain.products import Product
from domain.proposals import Proposal
from domain.routing import Trouble
from domain.times import shanghai_day
from tests.contracts.stage import NOW, Stage, end
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault

QR = Method.ALIPAY_QR


async def test_attempts_at_once_do_not_exceed_a_days_limit_together(stage: Stage) -> None:
    barrier, day = asyncio.Barrier(8), shanghai_day(NOW)

    async def start() -> bool:
        order = await stage.order()
        attempt = stage.new_attempt(order, counted_on=day)
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            await uow.orders.lock(order.id)
            reserved = await uow.limits.reserve(attempt, 35_000)
            if reserved:
                await uow.attempts.add(attempt)
        return reserved

    assert sorted(await end(*(asyncio.create_task(start()) for _ in range(8)))) == [False] * 5 + [True] * 3
    async with stage.unit_of_work() as uow:
        assert await uow.limits.taken(stage.merchant.id, Mode.TEST, day) == {QR: 30_000}


async def test_attempts_that_end_at_once_give_back_their_parts_each_once(stage: Stage) -> None:
    day, attempts = shanghai_day(NOW), []
    for _ in range(6):
        attempts.append(await stage.attempt(await stage.order(), counted_on=day))
        async with stage.unit_of_work() as uow:
            assert await uow.limits.reserve(attempts[-1], 10**9)
    barrier = asyncio.Barrier(12)

    async def ends(attempt_id: str) -> None:
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            attempt = await uow.attempts.lock(attempt_id)
            if attempt.live:
                await uow.attempts.save(attempt.closed(NOW))

    outcomes = await end(*(asyncio.create_task(ends(each.id)) for each in attempts for _ in range(2)))
    assert outcomes == [None] * 12
    async with stage.unit_of_work() as uow:
        assert await uow.limits.taken(stage.merchant.id, Mode.TEST, day) == {QR: 0}


async def test_a_paused_account_has_one_trial_however_many_ask(stage: Stage) -> None:
    async with stage.unit_of_work() as uow:
        ill = (await uow.health.lock(stage.account.id, QR, NOW)).failed(Trouble.REFUSED, "no", NOW)
        await uow.health.save(ill)
    barrier = asyncio.Barrier(6)
    later = NOW + timedelta(minutes=1)

    async def ask() -> bool:
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            return await uow.health.try_again(ill, later)

    assert sorted(await end(*(asyncio.create_task(ask()) for _ in range(6)))) == [False] * 5 + [True]


async def test_first_failures_at_once_are_all_counted(stage: Stage) -> None:
    barrier = asyncio.Barrier(6)

    async def fail() -> None:
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            health = await uow.health.lock(stage.account.id, QR, NOW)
            await uow.health.save(health.failed(Trouble.OUTAGE, "down", NOW))

    assert await end(*(asyncio.create_task(fail()) for _ in range(6))) == [None] * 6
    async with stage.unit_of_work() as uow:
        (serving,) = await uow.accounts.serving(stage.merchant.id, Mode.TEST)
    health = serving.health_of(QR)
    assert health is not None
    assert health.failures == 6


async def test_of_two_rotations_at_once_one_wins(stage: Stage) -> None:
    clock = FakeClock(NOW)
    barrier = asyncio.Barrier(4)

    class Meeting(FakeChannel):
        """All have read the credential, and none has stored another, when the channel answers."""

        async def query(self, access: Access, number: str) -> ChannelReport:
            await barrier.wait()
            return await super().query(access, number)

    channels = {Channel.ALIPAY: Meeting(Channel.ALIPAY, clock)}
    check = CheckAccess(channels, stage.ids)
    keep = KeepAccounts(stage.unit_of_work, channels, FakeVault(), clock, stage.ids, check)
    credential = stage.credential.id

    async def rotate(n: int) -> Credential:
        return await keep.rotate(SYSTEM, credential, {"alipay_public_key": f"k{n}"}, {"app_private_key": f"s{n}"})

    answers = await end(*(asyncio.create_task(rotate(n)) for n in range(4)))
    (won,) = [each for each in answers if isinstance(each, Credential)]
    assert [each.code for each in answers if isinstance(each, Conflict)] == ["credential_changed"] * 3
    async with stage.unit_of_work() as uow:
        stored = await uow.credentials.get(credential)
        (record,) = await uow.audit.about(credential)
    assert stored == won
    assert stored.version == stage.credential.version + 1
    assert record.after["version"] == stored.version


async def test_versions_that_are_approved_at_once_are_numbered_one_after_the_other(stage: Stage) -> None:
    product = Product(id=stage.ids.new("prd"), name="p", created_at=NOW)
    async with stage.unit_of_work() as uow:
        await uow.products.add(product)
    prices, barrier = ChangePrices(FakeClock(NOW), stage.ids), asyncio.Barrier(5)
    payload = {
        "product_id": product.id,
        "plans": {"alipay_qr": {"ppm": 1, "minimum": 0, "maximum": None}},
        "valid_from": None,
    }

    async def approve() -> None:
        proposal = Proposal.make(
            SYSTEM, id=stage.ids.new("prp"), action="product.add_version", payload=payload, summary="s",
            permission="rates.approve", merchant_id=None, now=NOW,
        )  # fmt: skip
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            await prices.add_version(uow, proposal, SYSTEM)

    assert await end(*(asyncio.create_task(approve()) for _ in range(5))) == [None] * 5
    async with stage.unit_of_work() as uow:
        assert [version.n for version in await uow.products.versions(product.id)] == [1, 2, 3, 4, 5]
