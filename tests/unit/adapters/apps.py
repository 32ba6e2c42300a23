"""Applications that are built once a run: building one costs a hundred times what a test asks of it."""

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from litestar import Litestar
from litestar.types import Receive, Scope, Send

_parts: ContextVar[Any] = ContextVar("parts")
_PLAIN = (str, bytes, bool, tuple, type(None))  # applications are built by such values: each has one of its own


class _Part:
    """One part, looked up among those of whoever is served when it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(_parts.get(), self._name)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_parts.get(), self._name), name)


class _StandIn:
    """Stands for the parts while the application is built. ``fixed`` are those that it is built by."""

    def __init__(self, fixed: dict[str, Any]) -> None:
        self._fixed = fixed

    def __getattr__(self, name: str) -> Any:
        if name in self._fixed:
            return self._fixed[name]
        served = _parts.get(None)
        return _Part(name) if served is None else getattr(served, name)


@dataclass(frozen=True, slots=True)
class SharedApp:
    """An ASGI application that all tests share, with this test's parts behind it."""

    app: Litestar
    parts: Any

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _parts.set(self.parts)
        try:
            await self.app(scope, receive, send)
        finally:
            _parts.reset(token)

    @property
    def routes(self) -> list[Any]:
        return self.app.routes


def shared(build: Callable[..., Litestar], parts: Any, **options: Hashable) -> SharedApp:
    """What ``build(parts, **options)`` does, in a thousandth of the time from the second on."""
    named = ((name, getattr(parts, name)) for name in dir(parts) if not name.startswith("_"))
    fixed = tuple((name, value) for name, value in named if isinstance(value, _PLAIN))
    return SharedApp(_built(build, fixed, tuple(options.items())), parts)


@lru_cache
def _built(
    build: Callable[..., Litestar], fixed: tuple[tuple[str, Any], ...], options: tuple[tuple[str, Any], ...]
) -> Litestar:
    return build(_StandIn(dict(fixed)), **dict(options))
