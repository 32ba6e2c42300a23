"""A merchant's side of the wire: the whole API on fakes, and a client with its key."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.inbound.http.app import ApiParts, build_app
from application.find_settlement import FindSettlement
from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.keep_invoices import FindInvoices
from application.open_merchant import OpenedMerchant
from application.read_merchant_statement import ReadMerchantStatement
from application.report_payments import OWN_FIGURES, ReportPayments
from application.view_accounts import ViewAccounts
from domain.channels import Mode
from domain.errors import InvalidRequest
from tests.fakes.house import House
from tests.fakes.treasury import Treasury
from tests.unit.adapters.apps import SharedApp, shared

PUBLIC_URL = "https://pay.example"
UNSET: Any = object()


def check_url(url: str) -> None:
    """Stands for the courier's guard."""
    if "127.0.0.1" in url:
        raise InvalidRequest("this address is not public", code="url_invalid")


@dataclass
class Shop:
    """``call`` is the merchant's HTTP client; ``checks`` is what /readyz is told."""

    house: House
    merchant: OpenedMerchant
    checks: list[tuple[str, bool, str, bool]] = field(default_factory=lambda: [("database", True, "", True)])

    def __post_init__(self) -> None:
        self.app: SharedApp = shared(build_app, self.parts())

    @classmethod
    async def open(cls) -> "Shop":
        house = House()
        shop = cls(house, await house.merchant())
        await house.authenticate(shop.merchant.api_key)  # its use is written down now, not in the midst of a test
        return shop

    def parts(self, **other: Any) -> ApiParts:
        house = self.house
        unit_of_work, vault, clock, ids = house.database.unit_of_work, house.vault, house.clock, house.ids
        parts: dict[str, Any] = {
            "authenticate": house.authenticate,
            "place_order": house.place_order,
            "find_order": house.find_order,
            "request_refund": house.request_refund,
            "submit_refund": house.submit_refund,
            "find_refund": house.find_refund,
            "settle": Treasury(house).settle,
            "find_settlement": FindSettlement(unit_of_work),
            "request_share": house.request_share,
            "end_sharing": house.end_sharing,
            "submit_share": house.submit_share,
            "find_share": house.find_share,
            "find_invoices": FindInvoices(unit_of_work),
            "start_attempt": house.start_attempt,
            "close_order": house.close_order,
            "identify_payer": house.identify_payer,
            "keep_codes": house.keep_codes,
            "answer_once": house.answer_once,
            "add_endpoint": AddEndpoint(unit_of_work, vault, clock, ids, check_url),
            "keep_endpoints": KeepEndpoints(unit_of_work, vault, clock, ids, house.hints),
            "keep_keys": house.keep_keys,
            "resend": house.resend,
            "statements": ReadMerchantStatement(unit_of_work, clock),
            "receive_notice": house.receive_notice,
            "queries": house.database.queries,
            "view_accounts": ViewAccounts(house.database.account_queries),
            "report_payments": ReportPayments(house.database.reports, OWN_FIGURES),
            "clock": clock,
            "public_url": PUBLIC_URL,
            "check_url": check_url,
            "ready": self._ready,
        }
        return ApiParts(**(parts | other))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = UNSET,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        key: str | None = UNSET,
    ) -> httpx.Response:
        """One request with our key, or with ``key``, or with None. ``content`` is a body as raw bytes."""
        sent = list(headers.items() if isinstance(headers, Mapping) else headers)
        names = {name.lower() for name, _ in sent}
        if key is not None and "authorization" not in names:
            sent.append(("Authorization", f"Bearer {self.merchant.api_key if key is UNSET else key}"))
        if body is not UNSET:
            content = json.dumps(body).encode()
        if content is not None and "content-type" not in names:
            sent.append(("Content-Type", "application/json"))
        async with self.client() as client:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in sent]
            return await client.request(method, path, content=content, headers=raw)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test", trust_env=False) as client:
            yield client

    async def other(self, mode: Mode = Mode.TEST) -> OpenedMerchant:
        """Somebody else."""
        merchant = await self.house.merchant(mode=mode)
        await self.house.authenticate(merchant.api_key)
        return merchant

    def stored(self) -> dict[str, dict[Any, Any]]:
        """All that the database holds now."""
        tables = vars(self.house.database.tables).values()
        return {table.name: dict(table.committed) for table in tables}

    async def _ready(self) -> list[tuple[str, bool, str, bool]]:
        return self.checks


def order(**fields: Any) -> dict[str, Any]:
    """The body of a good order; ``field=...`` changes it, and a field that is ``...`` is left out."""
    body = {"merchant_order_no": "A-1", "amount": 1990, "subject": "咖啡 ☕"} | fields
    return {name: value for name, value in body.items() if value is not ...}


def code_of(answer: httpx.Response) -> str:
    """The code of a well-formed problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"/docs/errors#{problem['code']}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    code = problem["code"]
    assert isinstance(code, str)
    return code
