"""What every page for payers stands on: the parts that bootstrap hands in, in use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from adapters.inbound.web.devices import Device
from adapters.inbound.web.forms import FormGuard
from adapters.inbound.web.live import LiveStatus, Subscribe
from adapters.inbound.web.logins import Logins
from adapters.inbound.web.pages import Pages
from adapters.inbound.web.status import Status
from application.identify_payer import IdentifyPayer
from application.keep_codes import OrderByCode
from application.ports.world import Clock
from application.start_attempt import StartAttempt
from application.view_cashier import CashierView, ViewCashier
from domain.channels import Mode
from domain.errors import NotFound

AnyRequest = Request[Any, Any, Any]
INSIDE = "inside"  # of an address: which wallet it is opened in
_KEPT = "pitaya_inside"
_WALLETS = (Device.ALIPAY, Device.WECHAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class CashierParts:
    """What the cashier is made of. ``sandbox_phone_url`` is the sandbox's payer: test orders link to it.

    ``form_targets`` are where a payer's browser may POST a channel's form to, as sources of a Content-Security-Policy;
    ``secret`` signs what goes through a wallet's login and back; ``address_of`` is the payer's address, None where it
    cannot be known. ``changes`` may be absent: then a payer sees the
    payment up to a second later.
    """

    view_cashier: ViewCashier
    start_attempt: StartAttempt
    identify_payer: IdentifyPayer
    order_by_code: OrderByCode
    clock: Clock
    public_url: str
    secret: bytes
    address_of: Callable[[AnyRequest], str | None]
    form_targets: Sequence[str] = ()
    changes: Subscribe | None = None
    sandbox_phone_url: str | None = None

    @property
    def secure(self) -> bool:
        """Whether pages are reached over TLS."""
        return self.public_url.startswith("https://")

    def address(self, token: str) -> str:
        """Where the page of an order is."""
        return f"{self.public_url}/pay/{token}"


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts in use: one for each router."""

    parts: CashierParts
    pages: Pages
    guard: FormGuard
    logins: Logins
    live: LiveStatus

    def device(self, request: AnyRequest, mode: Mode) -> Device:
        """By the browser's own word. The sandbox's phone has no wallet's browser: there the address says it, once."""
        said = request.query_params.get(INSIDE) or request.cookies.get(_KEPT)
        if said in _WALLETS and self._in_sandbox(mode):
            return Device(said)
        return Device.of(request.headers.get("user-agent", ""))

    def stay_inside(self, answer: Response[Any], request: AnyRequest, mode: Mode) -> None:
        """What the address has said counts until the browser is closed."""
        said = request.query_params.get(INSIDE)
        if said in _WALLETS and self._in_sandbox(mode):
            secure = self.parts.secure
            answer.cookies.append(Cookie(_KEPT, value=said, path="/", secure=secure, httponly=True, samesite="lax"))

    def _in_sandbox(self, mode: Mode) -> bool:
        return mode is Mode.TEST and self.parts.sandbox_phone_url is not None

    async def view(self, token: str) -> CashierView:
        """Raises NotFound, before any database is asked for text that cannot be a token."""
        if not (token.isascii() and token.isalnum()):
            raise NotFound("no such cashier page")
        return await self.parts.view_cashier(token)

    async def status(self, token: str) -> Status:
        return Status.of(await self.view(token), self.parts.clock.now())


AtDesk = NamedDependency[SkipValidation[Desk]]
