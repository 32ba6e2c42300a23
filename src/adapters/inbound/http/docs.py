"""/docs: the OpenAPI document, Swagger UI from files of an installed package, and the list of error codes."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.params import FromPath
from swagger_ui_bundle import swagger_ui_path

from adapters.inbound.http.codes import TITLES
from adapters.inbound.http.openapi import document
from domain.errors import NotFound

# Swagger UI writes style attributes and shows its icons as data: pictures. Scripts still come from us alone.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-16x16.png": "image/png",
    "favicon-32x32.png": "image/png",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" sizes="32x32" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
{body}
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "%s/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null
});
"""


class SwaggerPage(OpenAPIRenderPlugin):
    """Our own page instead of Litestar's: no inline script, and no address but ours."""

    def __init__(self, root: str, title: str) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._root, self._title = root, title

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        body = (
            '<div id="docs"></div>\n<script src="/docs/assets/swagger-ui-bundle.js"></script>\n'
            f'<script src="{self._root}/assets/start.js"></script>'
        )
        return _PAGE.format(title=self._title, body=body).encode()


class Document(JsonRenderPlugin):
    """The OpenAPI document with what Litestar cannot say about us."""

    def __init__(self, completed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(path="/openapi.json", media_type="application/json")  # type: ignore[arg-type]
        self._completed = completed

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return msgspec.json.encode(self._completed(openapi_schema))


def start_of(root: str) -> HTTPRouteHandler:
    """What starts Swagger UI on the document below ``root``."""

    @get("/assets/start.js")
    async def start() -> Response[bytes]:
        return Response((_START % root).encode(), media_type="text/javascript")

    return start


@get("/assets/{name:str}", sync_to_thread=True)
def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of the installed Swagger UI; nothing is fetched from a foreign host."""
    if name not in ASSETS:
        raise NotFound("no such file")
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(Path(swagger_ui_path, name).read_bytes(), media_type=ASSETS[name], headers=headers)


@get("/errors", media_type=MediaType.HTML)
async def errors() -> str:
    """Every error code; ``type`` of a problem leads here."""
    rows = "\n".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{html.escape(title.en)}</td><td>{title.zh}</td></tr>'
        for code, title in TITLES.items()
    )
    return _PAGE.format(title="Pitaya error codes", body=f"<h1>Error codes</h1>\n<table>\n{rows}\n</table>")


def errors_markdown() -> str:
    """docs/errors.md, from the same table."""
    rows = "\n".join(f"| `{code}` | {title.en} | {title.zh} |" for code, title in TITLES.items())
    return f"{_MARKDOWN}\n| code | English | 中文 |\n|---|---|---|\n{rows}\n"


_MARKDOWN = """# Error codes

Every failure of the API is `application/problem+json` (RFC 9457) with a stable `code`. Decide by `code`; `title`
follows `Accept-Language`, `detail` is for people and may change. Quote `request_id` when you ask us.

| status | meaning | what to do |
|---|---|---|
| 400 | we could not read the request: malformed, mistyped, unknown or missing names | mend the program |
| 401, 403 | the key (or session) is missing or not valid; or it may not do this | check the key |
| 404 | no such thing, or not yours, or of the other mode | check the reference |
| 409 | well formed, but the state says no | look at the object before you repeat; with `Retry-After` repeat |
| 413, 415 | larger than 64 KiB; not `application/json` | mend the program |
| 422 | we read it, and a value is not allowed, or the channel refused it | mend the value |
| 429 | too often | wait for `Retry-After` seconds |
| 500 | our fault | repeat the call unchanged |
| 502, 503, 504 | a channel or our database did not answer (in time) | repeat the call unchanged |

This page is written from `src/adapters/inbound/http/codes.py`; a test holds them together.
"""


def openapi_config(version: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Pitaya",
        version=version,
        summary="One API in front of Alipay and WeChat Pay.",
        description=(
            "Amounts are whole minor units (fen) with a currency, times are RFC 3339, lists are "
            '`{"data": [], "next_cursor": …}`. Failures are `application/problem+json` with a stable `code` '
            "([all codes](/docs/errors)). Bodies are strict JSON up to 64 KiB: unknown fields, repeated keys and "
            "numbers written as text or as fractions are refused. Every POST takes an `Idempotency-Key`."
        ),
        tags=[
            Tag("Orders", "What you ask us to collect (支付订单), and each try to pay it (支付流水)."),
            Tag("Refunds", "Money on its way back to a payer (退款): accepted is not succeeded."),
            Tag("Events", "What happened, whether or not a webhook reached you."),
            Tag("API keys", "What opens this API: made, rolled and revoked here, each with its scopes."),
            Tag("Webhook endpoints", "Where your events go. Signed as Standard Webhooks 1.0 says."),
        ],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="Your API key: `pty_sk_test_…` or `pty_sk_live_…`. It decides merchant and mode.",
                )
            }
        ),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
        openapi_router=Router(
            "/docs",
            route_handlers=[start_of("/docs"), asset, errors],
            include_in_schema=False,
            response_headers={"Content-Security-Policy": CSP},
        ),
        render_plugins=[
            SwaggerPage("/docs", "Pitaya API"),
            Document(document),
        ],
    )
