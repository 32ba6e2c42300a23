"""What the settings of people mean, and one clear line for what is wrong."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from adapters.outbound.redis.hints import connect
from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.clock import SqlClock
from bootstrap.container import Container
from bootstrap.settings import Settings, SettingsError
from tests.integration.stack import settings_of

PLAIN = settings_of("postgresql://x@/x", "redis://127.0.0.1:1/0", "https://pay.example", "http://127.0.0.1:9")


def settings(**changes: str) -> Settings:
    return Settings.from_environment(PLAIN | changes)


def test_nobody_goes_without_a_second_factor_unless_it_is_said() -> None:
    assert settings().totp_required is True
    assert settings(PITAYA_REQUIRE_TOTP="1").totp_required is True
    assert settings(PITAYA_REQUIRE_TOTP="no").totp_required is True
    assert settings(PITAYA_REQUIRE_TOTP="0").totp_required is False


def test_nobody_is_a_trusted_proxy_unless_it_is_said() -> None:
    assert settings().trusted_proxies == ()
    said = settings(PITAYA_TRUSTED_PROXIES="10.0.0.0/8, fd00::1").trusted_proxies
    assert said == (ip_network("10.0.0.0/8"), ip_network("fd00::1/128"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everybody", "10.0.0.0/8;fd00::/8"])
def test_a_proxy_that_is_no_network_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="PITAYA_TRUSTED_PROXIES"):
        settings(PITAYA_TRUSTED_PROXIES=text)


def test_roots_go_where_it_is_said() -> None:
    assert settings().audit_export is None
    assert settings(PITAYA_AUDIT_EXPORT="/var/lib/pitaya/audit").audit_export == Path("/var/lib/pitaya/audit")


@pytest.mark.parametrize(("said", "days"), [({}, 1), ({"PITAYA_HOLD_DAYS": "1"}, 1), ({"PITAYA_HOLD_DAYS": "3"}, 3)])
async def test_lines_wait_for_a_neighbour_as_many_days_as_it_is_said(said: dict[str, str], days: int) -> None:
    nowhere = SqlDatabase(create_engine("postgresql+asyncpg://x@/x", pool_size=1))
    redis = connect("redis://127.0.0.1:9/0")
    container = Container(settings=settings(**said), bulk_database=nowhere, clock=SqlClock(nowhere.engine), redis=redis)
    assert container.reconcile().hold_days == days
    await redis.aclose()


@pytest.mark.parametrize("text", ["0", "4", "-1", "one", "1.5"])
def test_lines_wait_for_one_day_at_least_and_three_at_most(text: str) -> None:
    with pytest.raises(SettingsError, match="PITAYA_HOLD_DAYS"):
        settings(PITAYA_HOLD_DAYS=text)
