"""Argon2id, pyotp and the fakes that stand for them keep one contract; and what only the real ones have to show."""

import asyncio
import time
from datetime import UTC, datetime

import pyotp
import pytest

from adapters.outbound.passwords import Argon2Passwords, PyotpTotp
from application.ports.people import Passwords, Totp
from domain.errors import RateLimited
from tests.contracts.passwords import CodeAt, PasswordsContract, TotpContract
from tests.fakes.passwords import FakePasswords, FakeTotp


class TestArgon2(PasswordsContract):
    @pytest.fixture
    def passwords(self) -> Passwords:
        return Argon2Passwords(time_cost=1, memory_kib=256)


class TestFakePasswords(PasswordsContract):
    @pytest.fixture
    def passwords(self) -> Passwords:
        return FakePasswords()


class TestPyotp(TotpContract):
    @pytest.fixture
    def totp(self) -> Totp:
        return PyotpTotp()

    @pytest.fixture
    def code_at(self) -> CodeAt:
        return lambda secret, at: pyotp.TOTP(secret).at(at)


class TestFakeTotp(TotpContract):
    @pytest.fixture
    def totp(self) -> Totp:
        return FakeTotp()

    @pytest.fixture
    def code_at(self) -> CodeAt:
        return FakeTotp().code


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """RFC 6238, appendix B: the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
    assert PyotpTotp().step(secret, code, datetime.fromtimestamp(at, UTC)) == at // 30


async def test_the_parameters_are_those_that_are_documented_and_weaker_ones_are_outdated() -> None:
    today, weaker = Argon2Passwords(), Argon2Passwords(time_cost=2, memory_kib=19 * 1024)
    hashed = await today.hashed("dragon fruit for two")
    assert hashed.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert today.outdated(await weaker.hashed("dragon fruit for two"))
    assert not today.outdated("not a hash at all")


async def test_an_accent_is_the_same_however_the_keyboard_writes_it() -> None:
    passwords = Argon2Passwords(time_cost=1, memory_kib=256)
    assert await passwords.fits("cafe\u0301 au lait", await passwords.hashed("caf\u00e9 au lait"))


async def test_a_flood_is_told_to_come_again_and_does_not_grow() -> None:
    passwords = Argon2Passwords(at_once=1, waiting=3, time_cost=1, memory_kib=256)
    outcomes = await asyncio.gather(*(passwords.hashed("x" * 12) for _ in range(10)), return_exceptions=True)
    assert [type(each) for each in outcomes].count(str) == 4
    assert [type(each) for each in outcomes].count(RateLimited) == 6
    assert await passwords.hashed("x" * 12)


async def test_who_does_not_exist_takes_as_long_as_who_does() -> None:
    """Same work, so within a factor that no machine's noise reaches; doing none at all would be a thousandth."""
    passwords = Argon2Passwords()
    hashed = await passwords.hashed("dragon fruit for two")

    async def seconds(known: str | None) -> float:
        began = time.perf_counter()
        await passwords.fits("wrong wrong wrong", known)
        return time.perf_counter() - began

    some = min([await seconds(hashed) for _ in range(3)])
    none = min([await seconds(None) for _ in range(3)])
    assert some / 5 < none < some * 5
