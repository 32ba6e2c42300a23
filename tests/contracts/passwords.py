"""Contracts of passwords and one-time passwords: what the argon2id and pyotp adapters and their fakes do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.people import Passwords, Totp

CodeAt = Callable[[str, datetime], str]
AT = datetime(2026, 11, 22, 4, 0, 10, tzinfo=UTC)


class PasswordsContract:
    """A subclass supplies the fixture ``passwords``."""

    async def test_a_password_fits_its_hash_and_no_other(self, passwords: Passwords) -> None:
        hashed = await passwords.hashed("dragon fruit for two")
        assert "dragon" not in hashed
        assert await passwords.fits("dragon fruit for two", hashed)
        for wrong in ("dragon fruit for tw0", "", "Dragon fruit for two", hashed):
            assert not await passwords.fits(wrong, hashed)

    async def test_nothing_fits_a_user_who_does_not_exist(self, passwords: Passwords) -> None:
        assert not await passwords.fits("the password of nobody", None)

    async def test_a_text_that_is_no_hash_fits_nothing(self, passwords: Passwords) -> None:
        assert not await passwords.fits("x" * 12, "x")
        assert not await passwords.fits("", "")

    async def test_a_hash_made_today_is_not_outdated(self, passwords: Passwords) -> None:
        assert not passwords.outdated(await passwords.hashed("dragon fruit for two"))


class TotpContract:
    """A subclass supplies the fixtures ``totp`` and ``code_at``: what an authenticator shows at a time."""

    def test_secrets_are_long_and_differ(self, totp: Totp) -> None:
        secrets = {totp.new_secret() for _ in range(20)}
        assert len(secrets) == 20
        assert all(len(secret) == 32 for secret in secrets)
        assert all(secret in totp.uri(secret, "mina") for secret in secrets)

    @pytest.mark.parametrize("seconds", [-30, 0, 30])
    def test_a_code_of_now_or_a_step_to_either_side_is_known_by_its_step(
        self, totp: Totp, code_at: CodeAt, seconds: int
    ) -> None:
        secret = totp.new_secret()
        at = AT + timedelta(seconds=seconds)
        assert totp.step(secret, code_at(secret, at), AT) == int(at.timestamp()) // 30

    @pytest.mark.parametrize("seconds", [-90, -60, 60, 90, 86_400])
    def test_a_code_of_another_time_is_none(self, totp: Totp, code_at: CodeAt, seconds: int) -> None:
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        assert totp.step(secret, code_at(secret, AT + timedelta(seconds=seconds)), AT) is None

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "12 456", "abcdef", "-12345", "1e5   "])
    def test_other_texts_are_none(self, totp: Totp, code: str) -> None:
        assert totp.step(totp.new_secret(), code, AT) is None
