"""`pitaya doctor` as an operator runs it: as the application's role, without Redis, with an exit status to act on."""

import asyncio

import asyncpg
import pytest

from application.ports.promises import PROMISES
from tests.integration.stack import settings_of
from tests.integration.test_command_line import pitaya


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    return settings_of(database_url, "redis://127.0.0.1:9/0", "https://pay.example", "http://127.0.0.1:9")


def test_the_doctor_says_ok_of_every_promise_and_then_names_the_broken_one(
    environment: dict[str, str], database_url: str
) -> None:
    well = pitaya("doctor", **environment)
    assert (well.returncode, well.stderr) == (0, "")
    assert [line.split()[:2] for line in well.stdout.splitlines()] == [["ok", promise] for promise in PROMISES]

    async def spoil() -> None:
        owner = await asyncpg.connect(database_url.replace("+asyncpg", "", 1))
        await owner.execute("GRANT UPDATE (amount) ON transfer TO pitaya_app")
        await owner.close()

    asyncio.run(spoil())
    ill = pitaya("doctor", **environment)
    assert ill.returncode == 1
    assert [line.split()[1] for line in ill.stdout.splitlines() if line.startswith("broken")] == ["M8"]
    assert "name=transfer  privilege=UPDATE" in ill.stdout


def test_the_doctor_fails_when_nobody_answers(environment: dict[str, str]) -> None:
    away = {**environment, "PITAYA_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    done = pitaya("doctor", **away)
    assert done.returncode == 1
    assert "temporarily_unavailable" in done.stderr
    assert "Traceback" not in done.stderr
