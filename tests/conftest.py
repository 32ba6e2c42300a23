"""The servers that the suite brings itself: one PostgreSQL and one Valkey a run, a database of its own for each test.

PostgreSQL is the server at ``PITAYA_TEST_DATABASE_URL`` if that is set; else a container of the image
``PITAYA_TEST_POSTGRES_IMAGE`` (postgres:18; empty for none) where an engine answers and has it or can pull it quickly;
else the embedded one. Whichever it is, we create and drop databases called ``pitaya_test_<random>`` and touch nothing
else.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis
from hypothesis import Phase, settings
from sqlalchemy import make_url

from bootstrap.embedded import temporary_postgres, temporary_valkey

if TYPE_CHECKING:
    import docker

PULL_WITHIN = 30.0

# Property tests run without a stop-watch: the machine is shared. Where nothing is said, with a hundred examples.
settings.register_profile("pitaya", deadline=None)
settings.load_profile("pitaya")
settings.register_profile("check", max_examples=20)  # for `make check`
# For `make mutants`: the first example that fails is enough, and every run tries the same ones.
settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], derandomize=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A superuser's (or at least a database creator's) URL, to the server's own database: for creating others."""
    if given := os.environ.get("PITAYA_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        return
    with contextlib.ExitStack() as stack:
        url = _containers_url(stack, os.environ.get("PITAYA_TEST_POSTGRES_IMAGE", "postgres:18"))
        if url is None:
            server = stack.enter_context(temporary_postgres())
            url = server.url()
            assert _execute(url, "SHOW data_directory") == str(server.data), "this is not the server we started"
        yield url


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> Iterator[str]:
    """The name of a database with our migrations applied, from which every test's own is copied."""
    with _database(postgres_url, suffix="_template") as url:
        _migrate(url)
        yield str(make_url(url).database)


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with _database(postgres_url, template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated, empty database for all tests of a module: for those that leave no trace, or mind none."""
    with _database(postgres_url, template=template_database) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Valkey of our own."""
    with temporary_valkey() as server:
        yield server.url()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The same, emptied for one test."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


def _migrate(url: str) -> None:
    try:
        migrations = importlib.import_module("adapters.outbound.sql.migrations")
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith("adapters"):
            raise
        return  # there are none yet: tests get an empty database
    asyncio.run(migrations.migrate(url))


@contextlib.contextmanager
def _database(server: str, *, template: str = "template0", suffix: str = "") -> Iterator[str]:
    name = f"pitaya_test_{secrets.token_hex(6)}{suffix}"
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> object:
    async def once() -> object:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(once())


def _containers_url(stack: contextlib.ExitStack, image: str) -> str | None:
    """The URL of a server in a container, or None where that cannot be had within half a minute."""
    if not image or not _engine_answers():
        return None
    import docker  # late: it costs half a second
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import testcontainers_config as settings

    engine = stack.enter_context(contextlib.closing(docker.from_env(timeout=10)))
    needed = [image] if settings.ryuk_disabled else [image, settings.ryuk_image]
    try:
        if not all(_has_or_pulls(engine, each) for each in needed):
            return None
    except (docker.errors.DockerException, OSError) as error:
        print(f"no container for PostgreSQL ({error}): the embedded one instead")
        return None
    container = stack.enter_context(PostgresContainer(image, driver="asyncpg"))
    return str(container.get_connection_url())


def _engine_answers() -> bool:
    """Whether a container engine is there at all, asked by hand: its client leaks a socket where there is none."""
    address = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    local = address.scheme == "unix"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX if local else socket.AF_INET) as engine:
        engine.settimeout(1)
        engine.connect(address.path if local else (address.hostname, address.port))
        engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in engine.recv(64)
    return False


def _has_or_pulls(engine: docker.DockerClient, image: str) -> bool:
    import docker

    with contextlib.suppress(docker.errors.ImageNotFound):
        return bool(engine.images.get(image))
    deadline = time.monotonic() + PULL_WITHIN
    name, _, tag = image.rpartition(":")
    for _progress in engine.api.pull(name or image, tag=tag if name else "latest", stream=True):
        if time.monotonic() > deadline:
            return False
    return bool(engine.images.get(image))
