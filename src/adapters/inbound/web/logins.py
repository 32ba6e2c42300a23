"""A payer's way through a wallet's login and back: the state that binds it to one cashier page and one browser."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from application.identify_payer import LOGIN_LASTS
from domain.channels import Method

BACK = "/payers/back"  # one address for all orders: channels want to know it beforehand


@dataclass(frozen=True, slots=True)
class Login:
    """Whoever holds ``cookie`` may come back with ``state``, to the page behind ``token`` and to no other; the code
    that comes with it is for ``app_id``."""

    token: str
    method: Method
    app_id: str
    state: str
    cookie: Cookie


class Logins:
    """Nothing is stored: the cookie says where to, and the state that the wallet returns is its MAC.

    So a state works in the browser that asked for it, for its page, for LOGIN_LASTS; that it works once is kept by
    IdentifyPayer. A foreign page that sends a browser to BACK has no state that fits the cookie.
    """

    def __init__(self, secret: bytes, *, secure: bool) -> None:
        self._secret = secret
        self._secure = secure
        self._name = "__Host-pitaya_login" if secure else "pitaya_login"

    def begin(self, token: str, method: Method, app_id: str, now: datetime) -> Login:
        expires = int((now + LOGIN_LASTS).timestamp())
        value = f"{expires}.{method}.{token}.{app_id}.{secrets.token_urlsafe(12)}"
        cookie = Cookie(
            self._name,
            value=value,
            path="/",
            max_age=int(LOGIN_LASTS.total_seconds()),
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return Login(token, method, app_id, self._state(value), cookie)

    def end(self, request: Request[Any, Any, Any], now: datetime) -> Login | None:
        """The login that this browser began and this request ends; None for any other."""
        value = request.cookies.get(self._name, "")
        state = request.query_params.get("state", "")
        if not value or not hmac.compare_digest(self._state(value).encode(), state.encode()):
            return None
        expires, method, token, app_id, _ = value.split(".", 4)
        if now.timestamp() > int(expires):
            return None
        ended = Cookie(self._name, path="/", max_age=0, secure=self._secure)
        return Login(token, Method(method), app_id, state, ended)

    def _state(self, value: str) -> str:
        return hmac.new(self._secret, b"payer login|" + value.encode(), "sha256").hexdigest()[:40]
