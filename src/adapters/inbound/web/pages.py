"""Templates into answers: two languages, autoescaping, icons, and the headers that every page of ours carries."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from heroicons.jinja import heroicon_outline, heroicon_solid
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response

from adapters.inbound.web.assets import Assets
from adapters.inbound.web.languages import Language, translations
from domain.money import Money
from domain.times import SHANGHAI, rfc3339

TEMPLATES = Path(__file__).parent / "templates"

# Nothing but our own files, no inline script or style, in no one's frame. Pages of ours are about one person's money:
# no cache keeps them, no search engine lists them, and no link tells where the reader came from.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


class Pages:
    """Renders ``templates/``: one Jinja environment a language."""

    def __init__(self, assets: Assets) -> None:
        self._environments = {language: _environment(language, assets) for language in Language}

    def page(
        self, template: str, language: Language, *, status: int = 200, form_targets: Sequence[str] = (), **context: Any
    ) -> Response[str]:
        """An HTML answer. ``form_targets`` are sources, besides ourselves, that its forms may be sent to."""
        text = self._environments[language].get_template(template).render(language=language, **context)
        headers = HEADERS
        if form_targets:
            allowed = " ".join(("form-action 'self'", *form_targets))
            policy = HEADERS["Content-Security-Policy"].replace("form-action 'self'", allowed)
            headers = HEADERS | {"Content-Security-Policy": policy}
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def _environment(language: Language, assets: Assets) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(asset=assets.address, outline=heroicon_outline, solid=heroicon_solid, Language=Language)
    environment.filters.update(yuan=yuan, when=when, rfc3339=rfc3339, clock=clock)
    return environment


def yuan(amount: Money) -> str:
    """``¥1,234.50``, the same in both languages."""
    assert amount.currency == "CNY", "the only currency there is"
    return f"¥{amount.minor // 100:,}.{amount.minor % 100:02d}"


def when(at: datetime) -> str:
    """An instant where both channels keep their books: Shanghai's wall clock."""
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def clock(seconds: int) -> str:
    """A span as a clock counts it down: ``14:59``, ``1:00:00``."""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes:02d}:{seconds % 60:02d}"
