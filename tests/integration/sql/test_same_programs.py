"""The fake database and PostgreSQL play the same random programs to the same end: or the simulation proves nothing."""

import os
import time
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fakes.database import FakeDatabase
from tests.integration.sql.conftest import Stored
from tests.integration.sql.programs import Cast, play_again, play_on_the_fake

SECONDS = float(os.environ.get("PITAYA_PROGRAM_SECONDS", "10"))
LEAST = 20

Owner = Any  # asyncpg's connection, generic only in its stubs


async def same(seed: int, engine: AsyncEngine, owner: Owner) -> list[tuple[int, str, int]]:
    """Play one program on both. Returns what it did; raises AssertionError with the program where they differ."""
    fake = await Cast().enter(FakeDatabase())
    steps, expected = await play_on_the_fake(fake, seed)
    told = "\n".join(f"{at}: unit {step.unit} {step.deed} {step.n} → {step.done}" for at, step in enumerate(steps))
    await empty(owner)
    real = await Cast().enter(Stored(engine))
    try:
        got = await play_again(real, steps)
        assert got == expected
        assert await real.final() == await fake.final()
    except (AssertionError, TimeoutError) as difference:
        pytest.fail(f"seed {seed}: {difference!r}\n{told}")
    return [(step.unit, step.deed, step.n) for step in steps]


async def empty(owner: Owner) -> None:
    """All rows away, quicker than TRUNCATE would do it: there are few."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = sorted({row["tablename"] for row in tables} - {"alembic_version"})
    deletes = "; ".join(f'DELETE FROM "{name}"' for name in names)
    await owner.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")


async def test_both_databases_play_the_same_programs_to_the_same_end(engine: AsyncEngine, owner: Owner) -> None:
    began, played, deeds = time.monotonic(), 0, set[str]()
    while time.monotonic() - began < SECONDS or played < LEAST:
        deeds |= {deed for _, deed, _ in await same(played, engine, owner)}
        played += 1
    print(f"{played} programs")
    assert deeds == {*(await Cast().enter(FakeDatabase())).deeds(), "commit", "roll back"}


async def test_one_seed_is_one_program() -> None:
    first, again = [await play_on_the_fake(await Cast().enter(FakeDatabase()), 3) for _ in range(2)]
    assert first == again


async def test_a_fake_that_differs_is_noticed(engine: AsyncEngine, owner: Owner) -> None:
    """The fake without its unique number of a channel transaction: some program tells it from PostgreSQL."""

    class Forgetful(FakeDatabase):
        def __init__(self) -> None:
            super().__init__()
            self.tables.payments.uniques = ()

    for seed in range(60):
        steps, expected = await play_on_the_fake(await Cast().enter(FakeDatabase()), seed)
        if any("uq_channel_payment" in str(result) for result in expected.values()):
            break
    else:
        pytest.fail("no program met that key")
    try:
        noticed = await play_again(await Cast().enter(Forgetful()), steps) != expected
    except (AssertionError, TimeoutError):  # what should be refused goes on, and others wait for it
        noticed = True
    assert noticed
