"""What tests and the demo may do at WeChat Pay that no merchant can: the wallet, the console, the certificates."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from sandbox import payer
from sandbox.control import ControlError, Which, body_of, told_trade, trade_of
from sandbox.wechat import applyments, identity, refunds, transfers, wallet
from sandbox.wire import digits
from sandbox.world import World


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Invoked(_Strict):
    fields: dict[str, str]
    action: Literal["pay", "cancel"] = "pay"


class LogIn(_Strict):
    appid: str
    kind: identity.Kind = "mini"
    person: str = "payer"


class ConsoleRefund(Which):
    amount: Annotated[int, msgspec.Meta(ge=1)] | None = None
    notify_url: str | None = None


class Payee(_Strict):
    """What a merchant's page hands to wx.requestMerchantTransfer, and what the payee does then."""

    package_info: str
    action: Literal["confirm", "leave"] = "confirm"


class Aged(Which):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0


@post("/control/wechat/invoke", status_code=200)
async def invoke(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """A page, mini-program or app calls the wallet with these fields, and the payer pays or cancels."""
    asked = await body_of(request, Invoked)
    try:
        trade = wallet.called(world, asked.fields)
        if asked.action == "cancel":
            payer.refuse(world, trade)
            return {"err_msg": "get_brand_wcpay_request:cancel"}
        payer.pay(world, trade)
    except (wallet.NotCallable, payer.NotPayableError) as error:
        return {"err_msg": "get_brand_wcpay_request:fail", "err_desc": str(error)}
    return {"err_msg": "get_brand_wcpay_request:ok"}


@post("/control/wechat/login_codes", status_code=200)
async def login_code(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """A code as wx.login or the OAuth page gives it to an app."""
    asked = await body_of(request, LogIn)
    try:
        return {"code": identity.log_in(world, asked.appid, asked.kind, asked.person)}
    except identity.Unknown as error:
        raise ControlError("APP_NOT_FOUND", str(error), 404) from None


@post("/control/wechat/refunds", status_code=200)
async def console_refund(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """A refund made in the merchant platform: all of the payment, or a part, told where the order's notices go."""
    asked = await body_of(request, ConsoleRefund)
    asked.channel = "wechat"
    trade = trade_of(world, asked)
    if not trade.payments or trade.echo.get("reversed"):
        raise ControlError("NOT_REFUNDABLE", "the trade is not paid", 409)
    address = trade.notify_url if asked.notify_url is None else asked.notify_url
    left = trade.payments[0].amount - trade.refunded_amount
    amount = left if asked.amount is None else asked.amount
    if not 0 < amount <= left:
        raise ControlError("NOT_REFUNDABLE", f"{left} fen are left", 409)
    refund = refunds.make(world, trade, f"5{digits(27)}", amount, tell=address)
    return refunds.told(trade, refund)


@get("/control/wechat/refunds")
async def list_refunds(
    world: NamedDependency[World], out_trade_no: FromQuery[str | None] = None
) -> list[dict[str, Any]]:
    """Every refund, in order, as the answers have it."""
    trades = world.store.trades("wechat", out_trade_no)
    return [refunds.told(trade, refund) for trade in trades for refund in trade.refunds]


@post("/control/wechat/transfers", status_code=200)
async def receive(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """The payee of a transfer takes the money, or lets the day pass in which it could."""
    asked = await body_of(request, Payee)
    act = transfers.confirm if asked.action == "confirm" else transfers.leave
    try:
        return transfers.shown(act(world, asked.package_info))
    except transfers.NotThereError:
        raise ControlError("TRANSFER_NOT_FOUND", "nothing that could be confirmed", 404) from None


@get("/control/wechat/transfers")
async def list_transfers(world: NamedDependency[World]) -> list[dict[str, Any]]:
    """Every transfer, in order."""
    return [transfers.shown(bill) for bill in world.store.things("transfer", transfers.Bill)]


@post("/control/wechat/age", status_code=200)
async def age(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """As if an order had been placed and paid so many seconds earlier."""
    asked = await body_of(request, Aged)
    asked.channel = "wechat"
    trade = trade_of(world, asked)
    trade.created_at -= asked.seconds
    trade.payments = [msgspec.structs.replace(one, paid_at=one.paid_at - asked.seconds) for one in trade.payments]
    world.store.save_trade(trade)
    return told_trade(trade)


@post("/control/wechat/certificates/{step:str}", status_code=200)
async def rotate(step: FromPath[str], world: NamedDependency[World]) -> dict[str, Any]:
    """Platform certificates in the steps of a real change: `issue` lists one more, `switch` lets the newest sign,
    `retire` takes all others off the list. `restore` undoes it all: the first signs, and all are listed."""
    settings, keys = world.store.settings(), world.keys
    newest = len(keys.wechat_platforms) - 1
    match step:
        case "issue":
            keys.issue_platform()
        case "switch":
            settings.wechat_signing = newest
        case "retire" if settings.wechat_signing == newest:
            settings.wechat_retired = newest
        case "restore":
            settings.wechat_signing = settings.wechat_retired = 0
        case _:
            raise ControlError("STEP_NOT_POSSIBLE", f"no step {step} now", 409)
    world.store.save_settings(settings)
    platforms = keys.wechat_platforms
    return {
        "signs": platforms[settings.wechat_signing].serial,
        "listed": [platform.serial for platform in platforms[settings.wechat_retired :]],
    }


class Moved(_Strict):
    mchid: str
    business_code: str
    state: str
    reason: str = "看不清"


@post("/control/wechat/applyments", status_code=200)
async def move_applyment(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """What people at WeChat Pay and at the merchant do with an application: it comes to this state."""
    asked = await body_of(request, Moved)
    if asked.state not in applyments.STATES:
        raise ControlError("STATE_UNKNOWN", f"no state {asked.state[:40]!r}")
    moved = applyments.moved(world, asked.mchid, asked.business_code, asked.state, asked.reason)
    if moved is None:
        raise ControlError("APPLYMENT_NOT_FOUND", "no such application", 404)
    return applyments.told(moved) | {"submissions": moved.submissions}


handlers = [move_applyment, invoke, login_code, console_refund, list_refunds, receive, list_transfers, age, rotate]
