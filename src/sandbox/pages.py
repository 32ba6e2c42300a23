"""Pages for people: language, templates, and headers that let nothing foreign in."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
import segno
from litestar import MediaType, Request, Response
from markupsafe import Markup

from sandbox.wire import beijing, rfc3339_moment, yuan
from sandbox.words import WORDS, Language

_HEADERS = {
    # No form-action: browsers apply it to redirects too, and a purchase goes on to Pitaya's cashier.
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["yuan"] = lambda fen: f"¥{yuan(fen)}"
_templates.filters["when"] = lambda text: beijing(rfc3339_moment(text) or 0)


def _qr(content: str) -> Markup:
    """As inline SVG."""
    code = segno.make(content, error="m", micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))  # noqa: S704 - segno's own


_templates.filters["qr"] = _qr


def language(request: Request[Any, Any, Any]) -> Language:
    """What `?lang=` says, else what the browser prefers."""
    chosen = str(request.query_params.get("lang") or request.headers.get("accept-language") or "zh")
    return "en" if chosen.lower().startswith("en") else "zh"


def page(request: Request[Any, Any, Any], template: str, *, status_code: int = 200, **told: object) -> Response[str]:
    """A page in the reader's language."""
    lang = language(request)
    query = {**dict(request.query_params.items()), "lang": "zh" if lang == "en" else "en"}
    # Only path and query: the page may be seen through another host name than the process knows.
    switch = f"{request.url.path}?{urlencode(query)}"
    text = _templates.get_template(template).render(words=WORDS[lang], lang=lang, switch=switch, **told)
    return Response(text, media_type=MediaType.HTML, status_code=status_code, headers=_HEADERS)
