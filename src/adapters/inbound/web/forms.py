"""Forms that only our own pages can send: a random cookie, repeated in a hidden field (double submit).

The cookie is SameSite=Lax, so a foreign page's POST does not carry it; over TLS its ``__Host-`` name keeps sibling
domains from planting one. Origin headers would not do instead: under ``Referrer-Policy: no-referrer`` browsers send
``Origin: null`` with a plain form, and Sec-Fetch-Site is sent to trustworthy origins only.
"""

import hmac
import secrets
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

FIELD = "form_token"


class FormGuard:
    """``secure`` says that pages are reached over TLS."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._name = "__Host-pitaya_form" if secure else "pitaya_form"

    def token(self, request: Request[Any, Any, Any]) -> str:
        """What the hidden field carries: the cookie's value, or a new one to be set with ``cookie``."""
        return request.cookies.get(self._name) or secrets.token_urlsafe(24)

    def cookie(self, token: str) -> Cookie:
        return Cookie(self._name, path="/", value=token, secure=self._secure, httponly=True, samesite="lax")

    def accepts(self, request: Request[Any, Any, Any], field: object) -> bool:
        """Whether the field repeats the cookie."""
        cookie = request.cookies.get(self._name, "")
        return cookie != "" and isinstance(field, str) and hmac.compare_digest(cookie.encode(), field.encode())
