"""The two languages of every page: which one a reader gets, and the catalogue behind it.

English is the msgid; ``translations/zh_CN.po`` is read into memory at start, so no compiled catalogue is ever stale.
"""

import gettext
import io
from enum import StrEnum
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from litestar import Request

CATALOGUE = Path(__file__).parent / "translations" / "zh_CN.po"
COOKIE = "pitaya_lang"


class Language(StrEnum):
    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """The BCP 47 tag for ``<html lang>``: it also picks the right shapes of Chinese characters."""
        return "zh-CN" if self is Language.ZH else "en"

    @classmethod
    def of(cls, tag: str | None) -> "Language | None":
        """``zh``, ``zh-CN``, ``zh_TW``, ``en-US``, in any case; None for anything else."""
        primary = (tag or "").replace("_", "-").partition("-")[0].strip().lower()
        return next((language for language in cls if language == primary), None)


def choose(request: Request[Any, Any, Any], suggested: str | None = None) -> Language:
    """The reader's own choice (``?lang``, then its cookie), else what the merchant ``suggested``, else the browser's.

    A browser that asks for neither language gets English; one that asks for nothing gets Chinese, as most payers read.
    """
    for tag in (request.query_params.get("lang"), request.cookies.get(COOKIE), suggested):
        if language := Language.of(tag):
            return language
    accepted = request.headers.get("accept-language", "")
    if not accepted:
        return Language.ZH
    return next(filter(None, map(Language.of, _by_preference(accepted))), Language.EN)


def translations(language: Language) -> gettext.NullTranslations:
    """What gettext needs to speak this language."""
    if language is Language.EN:
        return gettext.NullTranslations()
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="zh_CN")
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _by_preference(accepted: str) -> list[str]:
    """The tags of an Accept-Language header (RFC 9110, 12.5.4), most wanted first; malformed weights count as zero."""
    weighted = []
    for part in accepted.split(","):
        tag, _, parameters = part.partition(";")
        name, _, weight = parameters.strip().partition("=")
        weighted.append((_weight(weight) if name == "q" else 1.0, tag.strip()))
    return [tag for weight, tag in sorted(weighted, key=lambda pair: -pair[0]) if weight > 0]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
