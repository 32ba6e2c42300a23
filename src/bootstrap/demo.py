"""`pitaya demo`: the processes of production, on servers of its own, beside a sandbox that plays the outside world."""

import asyncio
import base64
import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.demo_merchant import DemoMerchant, open_demo_merchant
from bootstrap.demo_operator import LOGIN, open_demo_operator, shown
from bootstrap.embedded import EmbeddedPostgres, EmbeddedValkey, Unavailable
from bootstrap.leftovers import write as write_private
from bootstrap.settings import Settings, SettingsError, database_url
from bootstrap.smoke import SmokeFailed, play_main_job
from bootstrap.supervisor import AlreadyRunning, Child, ChildFailed, Supervisor

APPLICATION_ROLE = "pitaya_app"
DATABASE = "pitaya"


def run_demo(state: Path, *, smoke: bool) -> int:
    """Run until a signal, or until the smoke test has an answer. Returns the exit status."""
    try:
        asyncio.run(_run(state, smoke=smoke))
    except (AlreadyRunning, ChildFailed, Unavailable, SmokeFailed, SettingsError) as error:
        print(f"pitaya demo: {error}", file=sys.stderr)
        return 1
    return 0


@dataclass(slots=True)
class Addresses:
    """Where everything is. Ports are the ones of last time when they are still free."""

    web: str
    sandbox: str
    environment: dict[str, str] = field(default_factory=dict, repr=False)


async def _run(state: Path, *, smoke: bool) -> None:
    async with Supervisor(state, say=lambda line: print(f"· {line}", flush=True)) as house, AsyncExitStack() as stack:
        at = Addresses(
            web=f"http://127.0.0.1:{house.port('web', 8000)}", sandbox=f"http://127.0.0.1:{house.port('sandbox', 8010)}"
        )
        servers, environment = await asyncio.to_thread(_servers, house)
        at.environment = _environment(house.state, at) | environment
        await house.start(*servers, _sandbox(house, at))
        await _prepare_database(at.environment)
        settings = Settings.from_environment({**os.environ, **at.environment})
        _, password = await asyncio.gather(
            house.start(*_processes(at)), open_demo_operator(stack, settings, house.state)
        )
        merchant = await open_demo_merchant(stack, settings, house.state, at.sandbox)
        if smoke:
            await play_main_job(stack, settings, merchant, at.web, at.sandbox)
        else:
            _welcome(at, merchant, password)
            shown(house.state)
            await house.wait()


def _environment(state: Path, at: Addresses) -> dict[str, str]:
    """Settings of the demo. Secrets are made once and kept in the state directory, readable by us alone."""
    path = state / "secrets.json"
    if not path.exists():
        master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        made = {"PITAYA_MASTER_KEYS": f"1:{master_key}", "PITAYA_KEY_PEPPER": secrets.token_urlsafe(32)}
        write_private(path, json.dumps(made))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept | {
        "PITAYA_PUBLIC_URL": at.web,
        "PITAYA_ALIPAY_TEST_GATEWAY": f"{at.sandbox}/gateway.do",
        "PITAYA_WECHAT_TEST_GATEWAY": at.sandbox,
        "PITAYA_WECHAT_TEST_AUTHORIZE_PAGE": f"{at.sandbox}/connect/oauth2/authorize",
        "PITAYA_WECHAT_TEST_IDENTITY_HOST": at.sandbox,
        "PITAYA_ALLOW_PRIVATE_ADDRESSES": "1",
        "PITAYA_SANDBOX_PHONE_URL": f"{at.sandbox}/phone",
        "PITAYA_AUDIT_EXPORT": str(state / "audit"),
        "PITAYA_REQUIRE_TOTP": "0",  # nothing here moves real money
    }


def _servers(house: Supervisor) -> tuple[list[Child], dict[str, str]]:
    """PostgreSQL and Valkey: the given ones, else our own; as children to start and settings that lead to them."""
    children, settings = [], {}
    if os.environ.get("PITAYA_DATABASE_URL"):
        settings["PITAYA_MIGRATION_URL"] = os.environ.get("PITAYA_MIGRATION_URL") or os.environ["PITAYA_DATABASE_URL"]
    else:
        postgres = EmbeddedPostgres(house.state / "postgres", note=print)
        postgres.prepare()
        children.append(postgres.child)
        settings["PITAYA_MIGRATION_URL"] = postgres.url(DATABASE)
        settings["PITAYA_DATABASE_URL"] = postgres.url(DATABASE, APPLICATION_ROLE)
    if not os.environ.get("PITAYA_REDIS_URL"):
        valkey = EmbeddedValkey(house.state / "valkey", house.port("valkey", 6390))
        valkey.prepare()
        children.append(valkey.child)
        settings["PITAYA_REDIS_URL"] = valkey.url()
    return children, settings


async def _prepare_database(environment: dict[str, str]) -> None:
    """The database, its tables, and an application's login that owns none of them."""
    from sqlalchemy import make_url, text
    from sqlalchemy.ext.asyncio import create_async_engine

    from adapters.outbound.sql.migrations import migrate

    owner = make_url(database_url(environment["PITAYA_MIGRATION_URL"]))
    if "PITAYA_DATABASE_URL" in environment:  # our own server: a given one has its database and its roles
        engine = create_async_engine(owner.set(database="postgres"), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            if not await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :n"), {"n": APPLICATION_ROLE}):
                await connection.execute(text(f"CREATE ROLE {APPLICATION_ROLE} LOGIN"))
            if not await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": DATABASE}):
                await connection.execute(text(f"CREATE DATABASE {DATABASE}"))
        await engine.dispose()
    await migrate(owner)


def _sandbox(house: Supervisor, at: Addresses) -> Child:
    host, port = _host_port(at.sandbox)
    argv = [sys.executable, "-m", "sandbox", "--host", host, "--port", port, "--state", str(house.state / "sandbox")]
    return Child(
        name="sandbox",
        argv=[*argv, "--pitaya-url", at.web, "--public-url", at.sandbox],
        ready=answers(f"{at.sandbox}/livez"),
    )


def _processes(at: Addresses) -> tuple[Child, ...]:
    host, port = _host_port(at.web)
    pitaya = [sys.executable, "-m", "bootstrap.main"]
    return (
        Child(
            name="web",
            argv=[*pitaya, "web", "--host", host, "--port", port],
            env=at.environment,
            ready=answers(f"{at.web}/readyz"),
        ),
        Child(name="worker", argv=[*pitaya, "worker"], env=at.environment),
        Child(name="beat", argv=[*pitaya, "beat"], env=at.environment),
    )


def _host_port(url: str) -> tuple[str, str]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, port


def answers(url: str) -> Callable[[], bool]:
    """Whether ``url`` answers 200 now, as a supervisor asks it."""

    def ready() -> bool:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)

    return ready


def _welcome(at: Addresses, merchant: DemoMerchant, password: str | None) -> None:
    secret = f"first password {password}, shown this once" if password else "the first password was shown before"
    print(
        f"""
  Pitaya 火龙果 is running. Nothing here moves real money. Ctrl-C stops it; the next start goes on where this one ends.

  Shop      {at.sandbox}/shop          buy something here first
  Cashier   {at.web}/pay/{merchant.sample_token}
  Phone     {at.sandbox}/phone         the payer's simulated wallet
  API       {at.web}/docs
  Test key  {merchant.api_key}
  Operators {at.web}/admin/docs        login {LOGIN}, {secret}

  curl -s {at.web}/v1/orders -H 'Authorization: Bearer {merchant.api_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"merchant_order_no": "'$(date +%s)'", "amount": 1990, "currency": "CNY", "subject": "Dragon-fruit coffee"}}'
""",
        flush=True,
    )
