"""Our own CSS, JavaScript and logo, served from memory under addresses that change with their content."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

STATIC = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """``digest`` is in the address, so a browser may keep the file for ever."""

    content: bytes
    media_type: str
    digest: str


class Assets:
    """Every file of ``static/``, read once at start."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._files = {path.name: _read(path) for path in sorted(directory.iterdir()) if path.is_file()}

    def address(self, name: str) -> str:
        """Where a page finds the file. Raises KeyError for a name that is not there: a mistake in a template."""
        return f"/assets/{self._files[name].digest}/{name}"

    def find(self, name: str) -> Asset | None:
        return self._files.get(name)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(content, media_type, hashlib.sha256(content).hexdigest()[:16])


def serving(assets: Assets) -> HTTPRouteHandler:
    """The route for them."""

    @get("/assets/{digest:str}/{name:str}", include_in_schema=False, sync_to_thread=False)
    def asset(digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        found = assets.find(name)
        if found is None:
            return Response(b"", status_code=404, media_type="text/plain")
        # Another digest is a page of an older or newer version, seen during a roll-out: serve what there is, once.
        caching = FOREVER if digest == found.digest else "no-store"
        headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
        return Response(found.content, media_type=found.media_type, headers=headers)

    return asset
