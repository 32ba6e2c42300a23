"""One server, several applications: each has the addresses below its prefix."""

from collections.abc import Mapping
from typing import Any

Asgi = Any  # the ASGI triple (scope, receive, send) has no types of its own


class ByPrefix:
    """Hands a request to the application whose prefix its path has, as a whole segment, else to ``otherwise``."""

    def __init__(self, prefixes: Mapping[str, Asgi], otherwise: Asgi) -> None:
        self._prefixes = prefixes
        self._otherwise = otherwise

    async def __call__(self, scope: Asgi, receive: Asgi, send: Asgi) -> None:
        segment = "/" + scope.get("path", "").lstrip("/").partition("/")[0]
        await self._prefixes.get(segment, self._otherwise)(scope, receive, send)
