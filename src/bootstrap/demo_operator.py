"""The demo's administrator: made at the first start, with a first password that is printed once and kept nowhere."""

from contextlib import AsyncExitStack
from pathlib import Path

from adapters.inbound.cli.operators import PLATFORM
from bootstrap.container import opened
from bootstrap.leftovers import write as write_private
from bootstrap.settings import Settings
from domain.actors import SYSTEM
from domain.errors import Conflict
from domain.permissions import ADMINISTRATOR

LOGIN = "admin"


async def open_demo_operator(stack: AsyncExitStack, settings: Settings, state: Path) -> str | None:
    """The first password, if nobody has been shown it yet. ``shown`` says that somebody has."""
    container = await stack.enter_async_context(opened(settings))
    path = _path(state)
    try:
        _, password = await container.keep_users().create(
            SYSTEM, PLATFORM, LOGIN, "Administrator", frozenset({ADMINISTRATOR})
        )
    except Conflict:  # there is one already
        return path.read_text() if path.exists() else None
    write_private(path, password)  # until the welcome has been printed: somebody may stop us before that
    return password


def shown(state: Path) -> None:
    _path(state).unlink(missing_ok=True)


def _path(state: Path) -> Path:
    return state / "first-password"
