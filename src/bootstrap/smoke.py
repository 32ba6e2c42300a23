"""The main job without a person: buy in the shop, pay by many methods, refund, and see notifications and books."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx

from bootstrap.container import Container, opened
from bootstrap.demo_merchant import ALIPAY_APP, WECHAT_APP, DemoMerchant
from bootstrap.settings import Settings
from domain.bookkeeping import BASIC
from domain.channels import Channel, Method, Mode
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import CNY, MILLION

PATIENCE = 30.0  # seconds for a paid order to reach the shop
RATE_PPM = 6_000
PLAYED = (
    *(Method.ALIPAY_QR, Method.WECHAT_NATIVE, Method.ALIPAY_BARCODE, Method.WECHAT_BARCODE),
    *(Method.ALIPAY_PAGE, Method.ALIPAY_WAP, Method.ALIPAY_JSAPI, Method.WECHAT_JSAPI, Method.WECHAT_H5),
)
BACK = 1_000  # fen that one buyer gets back


class SmokeFailed(Exception):
    """The main job did not end as it should; the text says where."""


async def play_main_job(
    stack: AsyncExitStack, settings: Settings, merchant: DemoMerchant, web: str, sandbox: str
) -> None:
    """One order by each of these methods, and a refund. Raises SmokeFailed at the first thing that does not fit."""
    container = await stack.enter_async_context(opened(settings))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        for method in PLAYED:
            started = time.monotonic()
            order = await _buy(http, sandbox, merchant, web)
            await _pay(http, order, method, merchant=merchant, web=web, sandbox=sandbox)
            seconds = await _shop_is_told(http, sandbox, order)
            await _books_hold(container, merchant, order)
            await _delivery_is_recorded(http, merchant, order, web)
            print(
                f"✓ {method}: {order['id']} {order['amount']} fen, paid, booked;"
                f" the shop verified the notification {seconds:.2f} s after the payment"
                f" ({time.monotonic() - started:.1f} s in all)",
                flush=True,
            )
            if method is Method.ALIPAY_QR:
                await _refund(http, container, merchant, order, web=web, sandbox=sandbox)


async def _buy(http: httpx.AsyncClient, sandbox: str, merchant: DemoMerchant, web: str) -> dict[str, Any]:
    bought = await http.post(f"{sandbox}/shop/buy", data={"product": "coffee"})
    _expect(
        bought.status_code == 303, f"the shop did not send us to the cashier: {bought.status_code} {bought.text[:500]}"
    )
    cashier = await http.get(bought.headers["location"])
    _expect(cashier.status_code == 200, f"the cashier answered {cashier.status_code}")
    listed = await http.get(f"{web}/v1/orders?limit=1", headers=_key(merchant))
    _expect(listed.status_code == 200, f"the API answered {listed.status_code}: {listed.text[:500]}")
    found = await http.get(f"{web}/v1/orders/{listed.json()['data'][0]['id']}", headers=_key(merchant))
    order: dict[str, Any] = found.json()
    _expect(order["cashier_url"] == bought.headers["location"], "the cashier is of another order")
    return order


async def _pay(
    http: httpx.AsyncClient,
    order: dict[str, Any],
    method: Method,
    *,
    merchant: DemoMerchant,
    web: str,
    sandbox: str,
) -> None:
    asked = {"method": str(method)}
    if method.is_barcode:  # the payer shows a code, and the till scans it
        shown = await http.post(f"{sandbox}/control/codes", json={"channel": method.channel})
        asked["auth_code"] = shown.raise_for_status().json()["code"]
    if method.needs_payer:
        asked |= await _payer(http, order, method, merchant=merchant, web=web, sandbox=sandbox)
    if method is Method.WECHAT_H5:
        asked["payer_ip"] = "127.0.0.1"
    started = await http.post(f"{web}/v1/orders/{order['id']}/attempts", json=asked, headers=_key(merchant))
    _expect(started.status_code == 201, f"no attempt: {started.status_code} {started.text[:500]}")
    attempt = started.json()
    if method.is_barcode:
        _expect(attempt["status"] == "succeeded", f"the bar code was not taken: {started.text[:500]}")
        return
    action = attempt["action"]
    if action["type"] == "form":
        shown = await http.post(action["value"], data=action["fields"], follow_redirects=True)
        _expect(shown.status_code == 200, f"the channel's page says {shown.status_code} {shown.text[:500]}")
    elif action["type"] == "redirect":
        shown = await http.get(action["value"], follow_redirects=True)
        _expect(shown.status_code == 200, f"the channel's page says {shown.status_code} {shown.text[:500]}")
    if method is Method.WECHAT_JSAPI:  # the wallet checks what the page hands it
        done = await http.post(f"{sandbox}/control/wechat/invoke", json={"fields": action["fields"]})
        _expect(done.json()["err_msg"].endswith(":ok"), f"the wallet says {done.text[:500]}")
        return
    done = await http.post(
        f"{sandbox}/control/pay", json={"channel": method.channel, "out_trade_no": attempt["number"]}
    )
    _expect(done.is_success, f"the payer could not pay: {done.status_code} {done.text[:500]}")


async def _payer(
    http: httpx.AsyncClient, order: dict[str, Any], method: Method, *, merchant: DemoMerchant, web: str, sandbox: str
) -> dict[str, str]:
    """Who pays, by the wallet's silent login."""
    alipay = method.channel is Channel.ALIPAY
    page, asked = (
        ("oauth2/publicAppAuthorize.htm", {"app_id": ALIPAY_APP, "scope": "auth_base"})
        if alipay
        else ("connect/oauth2/authorize", {"appid": WECHAT_APP, "response_type": "code", "scope": "snsapi_base"})
    )
    login = await http.get(f"{sandbox}/{page}", params=asked | {"redirect_uri": f"{sandbox}/shop"})
    brought = httpx.URL(login.headers.get("location", "")).params
    code = brought.get("auth_code" if alipay else "code")
    _expect(code is not None, f"the wallet tells no code: {login.status_code} {login.text[:500]}")
    found = await http.post(
        f"{web}/v1/orders/{order['id']}/payer", json={"method": method, "code": code}, headers=_key(merchant)
    )
    _expect(found.status_code == 200, f"nobody knows the payer: {found.status_code} {found.text[:500]}")
    payer: dict[str, str] = found.json()
    return payer


async def _shop_is_told(
    http: httpx.AsyncClient, sandbox: str, order: dict[str, Any], event: str = "order.paid"
) -> float:
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        rows = (await http.get(f"{sandbox}/control/shop/orders")).json()
        mine = next((row for row in rows if row["merchant_order_no"] == order["merchant_order_no"]), None)
        if mine and mine["status"] == "paid" and event in {each["type"] for each in mine["verified_notifications"]}:
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise SmokeFailed(f"the shop has no verified {event} of {order['id']} after {PATIENCE:g} s")


async def _refund(
    http: httpx.AsyncClient,
    container: Container,
    merchant: DemoMerchant,
    order: dict[str, Any],
    *,
    web: str,
    sandbox: str,
) -> None:
    """A part goes back, with its share of the fee, and the shop is told."""
    asked = {"order_id": order["id"], "merchant_refund_no": f"R-{order['merchant_order_no']}", "amount": BACK}
    made = await http.post(f"{web}/v1/refunds", json=asked, headers=_key(merchant))
    _expect(made.status_code == 201, f"no refund: {made.status_code} {made.text[:500]}")
    await _shop_is_told(http, sandbox, order, "refund.succeeded")
    async with container.database().unit_of_work() as uow:
        transfers = await uow.ledger.about(made.json()["id"])
        payments = await uow.payments.of_order(order["id"])
    amount = int(order["amount"])
    share = (2 * _fee(amount) * BACK + amount) // (2 * amount)
    merchants, refunding = (
        _account(kind, merchant.merchant_id) for kind in (AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_REFUNDING)
    )
    wanted = {
        (merchants, refunding, BACK - share),
        (_account(AccountKind.FEE_INCOME, PLATFORM), refunding, share),
        (refunding, _account(AccountKind.CHANNEL_RECEIVABLE, payments[0].account_id, BASIC), BACK),
    }
    _booked(transfers, wanted)
    print(f"✓ refund: {made.json()['id']} {BACK} fen, booked; the shop verified its notification", flush=True)


async def _books_hold(container: Container, merchant: DemoMerchant, order: dict[str, Any]) -> None:
    """Exactly the transfers of BOOKS.md: CR → MP (received − fee) and CR → FI (fee), written out once more here."""
    async with container.database().unit_of_work() as uow:
        payments = await uow.payments.of_order(order["id"])
        transfers = [transfer for payment in payments for transfer in await uow.ledger.about(payment.id)]
    _expect(len(payments) == 1 and payments[0].unattributed is None, f"{len(payments)} payments instead of one")
    amount = int(order["amount"])
    fee = _fee(amount)
    receivable = _account(AccountKind.CHANNEL_RECEIVABLE, payments[0].account_id, BASIC)
    wanted = {
        (receivable, _account(AccountKind.MERCHANT_PENDING, merchant.merchant_id), amount - fee),
        (receivable, _account(AccountKind.FEE_INCOME, PLATFORM), fee),
    }
    _booked(transfers, wanted)


def _fee(amount: int) -> int:
    return (2 * amount * RATE_PPM + MILLION) // (2 * MILLION)


def _account(kind: AccountKind, owner: str, fund: str = "") -> Account:
    return Account(kind, owner, Mode.TEST, CNY, fund)


def _booked(transfers: Sequence[Transfer], wanted: set[tuple[Account, Account, int]]) -> None:
    found = [(transfer.debit, transfer.credit, transfer.amount.minor) for transfer in transfers]
    _expect(len(found) == len(wanted) and set(found) == wanted, f"the ledger holds {found}, not {wanted}")


async def _delivery_is_recorded(
    http: httpx.AsyncClient, merchant: DemoMerchant, order: dict[str, Any], web: str
) -> None:
    """Our own record agrees with what the shop says: one event, delivered."""
    paid, cursor = [], ""
    while True:
        page = (await http.get(f"{web}/v1/events?limit=100{cursor}", headers=_key(merchant))).json()
        paid += [row["id"] for row in page["data"] if row["type"] == "order.paid" and row["data"]["id"] == order["id"]]
        if len(page["data"]) < 100:
            break
        cursor = f"&cursor={page['next_cursor']}"
    _expect(len(paid) == 1, f"{len(paid)} events order.paid instead of one")
    deadline, found = time.monotonic() + PATIENCE, []
    while time.monotonic() < deadline:
        answer = await http.get(f"{web}/v1/events/{paid[0]}/deliveries", headers=_key(merchant))
        found = [delivery["status"] for delivery in answer.json()["data"]]
        if found == ["delivered"]:
            return
        await asyncio.sleep(0.05)
    raise SmokeFailed(f"the deliveries of {paid[0]} are {found}")


def _key(merchant: DemoMerchant) -> dict[str, str]:
    return {"Authorization": f"Bearer {merchant.api_key}"}


def _expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise SmokeFailed(otherwise)
