"""The processes of the house and the short commands: each reads the settings, opens what it needs, and runs."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, TypeAlias

from bootstrap import logging
from bootstrap.settings import Settings, SettingsError
from domain.errors import InvalidRequest, PitayaError

Judged: TypeAlias = tuple[str, bool]  # what was found, in words, and whether all is sound


def run_web(host: str, port: int, workers: int) -> int:
    """Serve until SIGINT or SIGTERM."""
    from granian.constants import Interfaces
    from granian.server import Server

    Settings.from_environment(os.environ)  # a bad setting is told here, once, not by each worker
    Server(
        "bootstrap.web:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=2,  # an open cashier page (a stream that never ends) must not hold up the end
    ).serve()
    return 0


def run_worker(concurrency: int) -> int:
    """Work until SIGTERM."""
    from adapters.inbound.jobs.celery_app import build_celery
    from adapters.inbound.jobs.celery_app import run_worker as run
    from adapters.outbound.redis.hints import RedisHints, connect
    from bootstrap.container import opened

    settings = Settings.from_environment(os.environ)
    logging.configure(settings.log_level)

    @asynccontextmanager
    async def open_sweeps() -> AsyncIterator[Mapping[str, Callable[[], Awaitable[int]]]]:
        async with opened(settings) as container:
            yield container.sweeps()

    async def listen() -> AsyncIterator[str]:
        redis = connect(settings.redis_url)
        async for job in RedisHints(redis).listen_work():
            yield job

    return run(build_celery(settings.redis_url, open=open_sweeps, listen=listen), processes=concurrency)


def run_beat() -> int:
    """Say what is due until SIGTERM."""
    from adapters.inbound.jobs.celery_app import build_celery
    from adapters.inbound.jobs.celery_app import run_beat as run

    settings = Settings.from_environment(os.environ)
    logging.configure(settings.log_level)
    run(build_celery(settings.redis_url))
    return 0


def run_migrate() -> int:
    """Bring the database to this version."""
    from adapters.outbound.sql.migrations import migrate

    settings = Settings.from_environment(os.environ)
    if settings.migration_url is None:
        raise SettingsError("PITAYA_MIGRATION_URL is not set: the owner's login, which only this command uses")
    asyncio.run(migrate(settings.migration_url))
    return 0


def run_doctor() -> int:
    """Check every promise as the application's role. Exit status 1 if one is broken or nobody can look."""
    from adapters.inbound.cli.doctor import examine
    from bootstrap.checkers import promises

    async def run() -> Judged:
        async with promises(Settings.from_environment(os.environ)) as checkers:
            return await examine(checkers)

    return judged(run())


def run_merchant_create(arguments: argparse.Namespace) -> int:
    """Open a merchant and print what is shown only once."""
    from adapters.inbound.cli.merchants import create_merchant
    from bootstrap.container import opened

    async def run() -> str:
        async with opened(Settings.from_environment(os.environ)) as container:
            return await create_merchant(
                container.open_merchant(),
                name=arguments.name,
                mode=arguments.mode,
                rate_ppm=arguments.rate_ppm,
                late_payment=arguments.late_payment,
                accounts=arguments.account,
            )

    return printed(run())


def run_operator_create(arguments: argparse.Namespace) -> int:
    """Let an operator in and print the first password, which is shown only once."""
    from adapters.inbound.cli.operators import create_operator
    from bootstrap.container import opened

    async def run() -> str:
        async with opened(Settings.from_environment(os.environ)) as container:
            name = arguments.name or arguments.login
            return await create_operator(container.keep_users(), login=arguments.login, name=name, roles=arguments.role)

    return printed(run())


def run_operator_reset(arguments: argparse.Namespace) -> int:
    """Print a new first password, which is shown only once."""
    from adapters.inbound.cli.operators import reset_operator
    from bootstrap.container import opened

    async def run() -> str:
        async with opened(Settings.from_environment(os.environ)) as container:
            return await reset_operator(container.keep_users(), login=arguments.login, totp=arguments.authenticator)

    return printed(run())


def run_audit_verify() -> int:
    """Compare the audit records with their chain and the exported roots. Exit status 1 if anything is wrong."""
    from adapters.inbound.cli.audit import verify
    from bootstrap.container import opened

    async def run() -> Judged:
        async with opened(Settings.from_environment(os.environ)) as container:
            return await verify(container.verify_audit())

    return judged(run())


def run_close_day(arguments: argparse.Namespace) -> int:
    """Close every day that is over, or those up to one. Exit status 1 if what was closed has changed since."""
    from adapters.inbound.cli.ledger import close
    from bootstrap.container import opened

    async def run() -> Judged:
        day = _day(arguments.date) if arguments.date else None
        async with opened(Settings.from_environment(os.environ)) as container:
            return await close(container.close_day(), container.prove_days(), day)

    return judged(run())


def run_ledger_verify() -> int:
    """Compare every closed day with the ledger's rows and the exported roots. Exit status 1 if anything is wrong."""
    from adapters.inbound.cli.ledger import verify
    from bootstrap.container import opened

    async def run() -> Judged:
        async with opened(Settings.from_environment(os.environ)) as container:
            return await verify(container.prove_days())

    return judged(run())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("a day is written as 2026-11-01", code="day_invalid") from None


def run_reconcile(arguments: argparse.Namespace) -> int:
    """Fetch and match one day and print what came of it."""
    from adapters.inbound.cli.statements import ReconcileByHand, Screen
    from bootstrap.container import opened

    async def run() -> str:
        day = _day(arguments.date)
        async with opened(Settings.from_environment(os.environ)) as container:
            container.progress.override(Screen(container.progress(), sys.stderr))
            by_hand = ReconcileByHand(
                container.unit_of_work(),
                container.fetch_statement(),
                container.import_statement(),
                container.reconcile(),
            )
            return await by_hand(arguments.channel_account, day, arguments.file, getpass.getuser())

    return printed(run())


def printed(run: Coroutine[Any, Any, str]) -> int:
    """Print what a command has to say, or in one line why it has not."""

    async def said() -> Judged:
        return await run, True

    return judged(said())


def judged(run: Coroutine[Any, Any, Judged]) -> int:
    """Print what was found, or in one line why nobody could look. Exit status 1 then, and where it is not sound."""
    try:
        text, sound = asyncio.run(run)
    except PitayaError as error:
        print(f"pitaya: {error} ({error.code})", file=sys.stderr)
        return 1
    print(text)
    return 0 if sound else 1
