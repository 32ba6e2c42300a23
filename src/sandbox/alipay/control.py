"""The switches of the box's Alipay: applications, whom they act for, and what happens in a seller's own console."""

import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency

from sandbox.alipay import gateway, refunds, transfers
from sandbox.alipay.calls import Refused
from sandbox.control import ControlError, Fen, Name, Which, body_of, readable, told_trade, trade_of
from sandbox.keys import public_pem
from sandbox.model import App, Authorised
from sandbox.wire import digits
from sandbox.world import World


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class NewApp(_Strict):
    """`certificates` puts the application in certificate mode; `payer_as` is how it may know its payers."""

    app_id: Name
    seller_id: Name
    public_key: str
    certificates: bool = False
    payer_as: Literal["user_id", "open_id"] = "user_id"


class Authorisation(_Strict):
    app_id: Name
    merchant_app_id: Name
    seller_id: Name


class ConsoleRefund(Which):
    amount: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reason: str = "协商退款"
    notify: bool = True


class Order(_Strict):
    order_string: str


@post("/control/alipay/apps", status_code=200)
async def register_app(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """Registers an application, or gives it another key, account or mode."""
    new = await body_of(request, NewApp)
    public, authority = readable(new.public_key), world.authority
    certificate = authority.certify(new.app_id, public) if new.certificates else ""
    world.store.register(App(new.app_id, new.seller_id, public, certificate, new.payer_as))
    answer = {
        "app_id": new.app_id,
        "alipay_public_key": public_pem(world.keys.alipay),
        "gateway": f"{world.public_url}/gateway.do",
    }
    if certificate:
        answer |= {
            "app_certificate": certificate,
            "alipay_certificate": authority.platform_pem("current"),
            "alipay_root_certificate": authority.roots_pem,
        }
    return answer


@post("/control/alipay/authorisations", status_code=200)
async def authorise(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """A merchant lets a service provider's application act for it (第三方应用授权)."""
    new = await body_of(request, Authorisation)
    app = world.store.app(new.app_id)
    if app is None:
        raise ControlError("APP_NOT_FOUND", "no such application", 404)
    token = f"202611BB{secrets.token_hex(16)}"
    merchants = app.merchants | {token: Authorised(new.merchant_app_id, new.seller_id)}
    world.store.register(msgspec.structs.replace(app, merchants=merchants))
    return {"app_auth_token": token, "auth_app_id": new.merchant_app_id, "user_id": new.seller_id}


@post("/control/alipay/refund", status_code=200)
async def refund_in_console(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """The seller gives money back on Alipay's own site: with a number of Alipay's, and without asking anybody."""
    asked = await body_of(request, ConsoleRefund)
    trade = trade_of(world, asked)
    left = trade.amount - trade.refunded_amount
    amount: Fen = left if asked.amount is None else asked.amount
    if trade.channel != "alipay" or trade.state != "paid" or amount > left:
        raise ControlError("NOT_REFUNDABLE", f"the trade is {trade.state}, {left} fen are left", 409)
    refunds.give_back(world, trade, f"{digits(28)}", amount, asked.reason, notify=asked.notify)
    return told_trade(trade)


@post("/control/alipay/finish", status_code=200)
async def finish(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """The time for refunds of a paid trade is over: TRADE_FINISHED, which Alipay tells the merchant."""
    trade = trade_of(world, await body_of(request, Which))
    if trade.channel != "alipay" or trade.state != "paid":
        raise ControlError("NOT_PAID", f"the trade is {trade.state}", 409)
    trade.echo["finished"] = True
    world.store.save_trade(trade)
    world.courier.tell(trade, trade.payments[0])
    return told_trade(trade)


@post("/control/alipay/app_pay", status_code=200)
async def open_app(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """A merchant's app hands an order string to Alipay's SDK on the payer's phone."""
    asked = await body_of(request, Order)
    try:
        return told_trade(gateway.app_order(world, asked.order_string))
    except Refused as refused:
        raise ControlError(refused.node["sub_code"], refused.node["sub_msg"]) from None


@get("/control/alipay/transfers")
async def list_transfers(world: NamedDependency[World]) -> list[transfers.Transfer]:
    """Every transfer to an account, in order."""
    return world.store.things("alipay_transfer", transfers.Transfer)


handlers = [register_app, authorise, refund_in_console, finish, open_app, list_transfers]
