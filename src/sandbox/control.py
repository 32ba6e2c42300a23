"""The switches of the box: what tests and the demo may do that no merchant can."""

import asyncio
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from sandbox import crafting, payer
from sandbox.faults import Api, Fault, FaultName, applies
from sandbox.keys import public_key, public_pem
from sandbox.model import AuthCode, Channel, Delivery, Merchant, Settings, ShopOrder, Trade, Wallet
from sandbox.wire import utc
from sandbox.world import World

_T = TypeVar("_T")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Fen = Annotated[int, msgspec.Meta(ge=0, le=10**10)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]


class ControlError(Exception):
    """A refusal with a code of its own."""

    def __init__(self, code: str, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def _refuse(_: Request[Any, Any, Any], error: ControlError) -> Response[dict[str, str]]:
    return Response({"code": error.code, "message": str(error)}, status_code=error.status)


exception_handlers: Any = {ControlError: _refuse}


async def body_of(request: Request[Any, Any, Any], kind: type[_T]) -> _T:
    """The body of a call of this API. Raises ControlError."""
    # Strict, unlike the framework's default: "100" and 1e2 are not integers here.
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError("INVALID_BODY", str(error), 400) from None


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


# Registrations


class NewMerchant(_Strict):
    mchid: Name
    appid: Name
    serial_no: Name
    public_key: str
    apiv3_key: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{32}$")]
    secrets: dict[str, str] = {}


def readable(text: str) -> str:
    """A public key as it is kept. Raises ControlError."""
    try:
        return public_pem(public_key(text))
    except ValueError as error:
        raise ControlError("INVALID_PUBLIC_KEY", str(error)) from None


@post("/control/wechat/merchants", status_code=200)
async def register_merchant(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """Registers a merchant, or gives it another key, appid or APIv3 key."""
    new = await body_of(request, NewMerchant)
    key = readable(new.public_key)
    merchant = Merchant(new.mchid, new.appid, new.serial_no, key, new.apiv3_key, new.secrets)
    world.store.register(merchant)
    return {
        "mchid": new.mchid,
        "public_key_id": world.keys.wechat_key_id,
        "public_key": public_pem(world.keys.wechat),
        "platform_serial": world.keys.wechat_serial,
        "platform_certificate": world.keys.wechat_certificate_pem,
        "base_url": world.public_url,
    }


# The payer


class Which(_Strict):
    """A trade by its number at a channel, or by its QR content."""

    channel: Channel | None = None
    out_trade_no: str | None = None
    code: str | None = None
    account: str | None = None


class Pay(Which):
    amount: Fen | None = None
    received: Fen | None = None
    payer_paid: Fen | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    late: bool = False
    notify: bool = True


def trade_of(world: World, which: Which) -> Trade:
    """The trade that is meant: the newest, if there are several."""
    if which.code:
        found = [trade for trade in (world.store.trade_by_code(which.code),) if trade]
    elif which.out_trade_no:
        found = world.store.trades(which.channel, which.out_trade_no)
    else:
        raise ControlError("INVALID_BODY", "out_trade_no or code is needed", 400)
    found = [trade for trade in found if which.account in (None, trade.account)]
    if not found:
        raise ControlError("TRADE_NOT_FOUND", "no such trade", 404)
    return found[-1]


def told_trade(trade: Trade) -> dict[str, Any]:
    """A trade as this API shows it."""
    return {
        "channel": trade.channel,
        "account": trade.account,
        "out_trade_no": trade.number,
        "code": trade.code,
        "state": trade.state,
        "amount": trade.amount,
        "subject": trade.subject,
        "notify_url": trade.notify_url,
        "created_at": utc(trade.created_at),
        "deadline": utc(trade.deadline) if trade.deadline else None,
        "closed_at": utc(trade.closed_at) if trade.closed_at else None,
        "transactions": [
            {**msgspec.structs.asdict(payment), "paid_at": utc(payment.paid_at)} for payment in trade.payments
        ],
        "refunds": [{**msgspec.structs.asdict(refund), "made_at": utc(refund.made_at)} for refund in trade.refunds],
        "shares": [msgspec.structs.asdict(share) for share in trade.shares],
        "share_returns": [msgspec.structs.asdict(back) for back in trade.share_returns],
    }


@post("/control/scan", status_code=200)
async def scan(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """Opens the code with the payer's app."""
    trade = trade_of(world, await body_of(request, Which))
    payer.scan(world, trade)
    return told_trade(trade)


@post("/control/pay", status_code=200)
async def pay(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """Pays; a second time, or after the end, only because it is asked for here."""
    asked = await body_of(request, Pay)
    trade = trade_of(world, asked)
    total = trade.amount if asked.amount is None else asked.amount
    received = total if asked.received is None else asked.received
    if not (total > 0 and (asked.payer_paid or 0) <= received <= total):
        raise ControlError("INVALID_AMOUNT", "payer_paid <= received <= amount, and amount above 0")
    for turn in range(asked.times):
        try:
            payer.pay(
                world,
                trade,
                amount=asked.amount,
                received=asked.received,
                payer_paid=asked.payer_paid,
                force=asked.late or turn > 0,
                notify=asked.notify,
            )
        except payer.NotPayableError as error:
            raise ControlError("NOT_PAYABLE", f"the trade is {error}", 409) from None
    return told_trade(trade)


@post("/control/refuse", status_code=200)
async def refuse(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """Opens the code and declines."""
    trade = trade_of(world, await body_of(request, Which))
    payer.refuse(world, trade)
    return told_trade(trade)


class ShowCode(_Strict):
    channel: Channel
    wallet: Wallet = "pays"
    seconds: Seconds = 60.0


@post("/control/codes", status_code=200)
async def show_code(request: Request[Any, Any, Any], world: NamedDependency[World]) -> AuthCode:
    """A wallet's bar code for a merchant to scan; one that `asks` is confirmed by /control/pay or on the phone."""
    asked = await body_of(request, ShowCode)
    return payer.show_code(world, asked.channel, asked.wallet, asked.seconds)


@get("/control/trades")
async def trades(
    world: NamedDependency[World], channel: FromQuery[str | None] = None, out_trade_no: FromQuery[str | None] = None
) -> list[dict[str, Any]]:
    """What was placed and what became of it."""
    return [told_trade(trade) for trade in world.store.trades(channel, out_trade_no)]


# Notices


class Resend(_Strict):
    out_trade_no: str
    times: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


@get("/control/notices")
async def notices(world: NamedDependency[World], out_trade_no: FromQuery[str | None] = None) -> list[Delivery]:
    """Every delivery, in order."""
    return world.store.deliveries(out_trade_no)


@post("/control/notices/resend", status_code=200)
async def resend(request: Request[Any, Any, Any], world: NamedDependency[World]) -> list[Delivery]:
    """Sends the trade's notices again as they are, so many times, so many at once."""
    asked = await body_of(request, Resend)
    owed = world.store.notices(asked.out_trade_no)
    if not owed:
        raise ControlError("NOTICE_NOT_FOUND", "no notice of that number", 404)
    room = asyncio.Semaphore(asked.concurrency)

    async def once(place: int) -> Delivery:
        async with room:
            return await world.courier.send(owed[place % len(owed)], kind="resend")

    return list(await asyncio.gather(*(once(place) for place in range(asked.times * len(owed)))))


@post("/control/notices/send", status_code=200)
async def send(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Delivery:
    """Sends one crafted notice: mutated, forged, of another account, old, or of a number nobody knows."""
    try:
        return await crafting.send(world, await body_of(request, crafting.Crafted))
    except crafting.ImpossibleError as error:
        raise ControlError("IMPOSSIBLE_NOTICE", str(error)) from None


# Faults and settings


class NewFault(_Strict):
    fault: FaultName
    channel: Literal["alipay", "wechat", "*"] = "*"
    api: Api = "*"
    times: Annotated[int, msgspec.Meta(ge=-1, le=10**6)] = 1
    seconds: Seconds = 3.0


class NewSettings(_Strict):
    wechat_refund_gap: Seconds | msgspec.UnsetType = msgspec.UNSET
    wechat_refund_seconds: Seconds | msgspec.UnsetType = msgspec.UNSET
    share_seconds: Seconds | msgspec.UnsetType = msgspec.UNSET
    share_return_seconds: Seconds | msgspec.UnsetType = msgspec.UNSET
    wechat_bills: Literal["clock", "now"] | msgspec.UnsetType = msgspec.UNSET
    notice_speed: Annotated[float, msgspec.Meta(ge=0, le=1000)] | msgspec.UnsetType = msgspec.UNSET
    wechat_signer: Literal["public_key", "certificate", "both"] | msgspec.UnsetType = msgspec.UNSET
    alipay_certificate: Literal["current", "next"] | msgspec.UnsetType = msgspec.UNSET
    alipay_fee_ppm: Annotated[int, msgspec.Meta(ge=0, le=10**6)] | msgspec.UnsetType = msgspec.UNSET
    alipay_bills: Literal["clock", "now"] | msgspec.UnsetType = msgspec.UNSET


@post("/control/faults", status_code=201)
async def add_fault(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Fault:
    """Switches a fault on for so many calls or notices; -1 is for ever."""
    new = await body_of(request, NewFault)
    if new.times == 0 or (new.api != "*" and not applies(new.fault, new.api)):
        raise ControlError("FAULT_NOT_APPLICABLE", f"{new.fault} cannot happen to {new.api} {new.times} times")
    return world.faults.add(new.channel, new.api, new.fault, new.times, new.seconds)


@get("/control/faults")
async def list_faults(world: NamedDependency[World]) -> list[Fault]:
    """What is switched on, with what is left of each."""
    return world.faults.all()


@delete("/control/faults")
async def clear_faults(world: NamedDependency[World]) -> None:
    """Switches all faults off."""
    world.faults.clear()


@post("/control/settings", status_code=200)
async def change_settings(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """Changes what is named and answers all of it; `notice_speed` counts from the next step of each ladder."""
    new = await body_of(request, NewSettings)
    settings = world.store.settings()
    for name, value in msgspec.structs.asdict(new).items():
        if value is not msgspec.UNSET:
            setattr(settings, name, value)
    world.store.save_settings(settings)
    return _shown(settings)


@get("/control/settings")
async def show_settings(world: NamedDependency[World]) -> dict[str, Any]:
    """The switches as they stand."""
    return _shown(world.store.settings())


def _shown(settings: Settings) -> dict[str, Any]:
    names = (
        "notice_speed",
        "wechat_signer",
        "alipay_certificate",
        "alipay_fee_ppm",
        "alipay_bills",
        "wechat_refund_gap",
        "wechat_refund_seconds",
        "share_seconds",
        "share_return_seconds",
        "wechat_bills",
    )
    return {name: getattr(settings, name) for name in names}


@post("/control/reset", status_code=200)
async def reset(world: NamedDependency[World]) -> dict[str, bool]:
    """Forgets trades, notices, faults and shop orders; registrations and set-up stay."""
    world.store.reset()
    world.faults.clear()
    return {"reset": True}


# The shop


class ShopSetup(_Strict):
    """With the apps that the shop's payers are known to: its account at Alipay, its mini program at WeChat."""

    pitaya_url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    api_key: Name
    webhook_secret: Annotated[str, msgspec.Meta(pattern=r"^whsec_")]
    alipay_app_id: str = ""
    wechat_appid: str = ""


class ShopBehaviour(_Strict):
    mode: Literal["normal", "slow", "error", "silent"]
    seconds: Seconds = 3.0


@post("/control/shop", status_code=200)
async def set_up_shop(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, str]:
    """Tells the sample shop which Pitaya it sells through and with which credentials."""
    new = await body_of(request, ShopSetup)
    settings = world.store.settings()
    settings.pitaya_url = new.pitaya_url.rstrip("/")
    settings.shop_api_key, settings.shop_webhook_secret = new.api_key, new.webhook_secret
    settings.shop_alipay_app_id, settings.shop_wechat_appid = new.alipay_app_id, new.wechat_appid
    world.store.save_settings(settings)
    return {"shop": f"{world.public_url}/shop", "notify_url": f"{world.public_url}/shop/notifications"}


@post("/control/shop/behaviour", status_code=200)
async def behave(request: Request[Any, Any, Any], world: NamedDependency[World]) -> dict[str, Any]:
    """How the shop answers webhooks from now on."""
    new = await body_of(request, ShopBehaviour)
    settings = world.store.settings()
    settings.shop_mode, settings.shop_seconds = new.mode, new.seconds
    world.store.save_settings(settings)
    return {"mode": new.mode, "seconds": new.seconds}


@get("/control/shop/orders")
async def shop_orders(world: NamedDependency[World]) -> list[ShopOrder]:
    """What was ordered, and which webhooks the shop believed."""
    return world.store.shop_orders()


handlers = [
    *(register_merchant, show_code, scan, pay, refuse, trades, notices, resend, send),
    *(add_fault, list_faults, clear_faults, change_settings, show_settings, reset),
    *(set_up_shop, behave, shop_orders),
]
