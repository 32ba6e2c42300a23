"""Notices that no channel would send, for merchants to refuse."""

import secrets
from typing import Annotated, Any, Literal

import msgspec

from sandbox.model import Channel, Crafting, Delivery, Notice, Payment, Trade
from sandbox.payer import transaction_number
from sandbox.world import World


class Crafted(msgspec.Struct, forbid_unknown_fields=True):
    """What to send.

    `overrides` are fields of Alipay's form, or of WeChat Pay's transaction with dots for depth (`amount.total`) and
    `envelope.` before those of the outer JSON; null takes a field away. `other_app` is an honest signature under
    another account's name. `serial` is `public_key`, `certificate`, or any text.
    """

    channel: Channel
    out_trade_no: str
    account: str | None = None
    url: str | None = None
    overrides: dict[str, Any] = {}
    sign: Literal["good", "bad", "none", "probe", "other_app"] = "good"
    timestamp_offset: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)] = 0
    serial: str | None = None


class ImpossibleError(Exception):
    """There is nobody to send it for, or nowhere to send it to."""


async def send(world: World, crafted: Crafted) -> Delivery:
    """Sends the notice once, off the ladder; only its delivery is written down."""
    notice = _honest(world, crafted)
    notice.url = crafted.url or notice.url
    if not notice.url:
        raise ImpossibleError("the trade has no notify_url: give url")
    overrides = (_elsewhere(world, crafted, notice) if crafted.sign == "other_app" else {}) | crafted.overrides
    if crafted.channel == "alipay":
        notice.content = notice.content | overrides
    else:
        for name, value in overrides.items():
            inside = name.startswith("envelope.")
            _set(notice.content, name.split(".") if inside else ["transaction", *name.split(".")], value)
    sign = "good" if crafted.sign == "other_app" else crafted.sign
    how = Crafting(sign=sign, timestamp_offset=crafted.timestamp_offset, serial=crafted.serial)
    return await world.courier.send(notice, how, kind="crafted")


def _honest(world: World, crafted: Crafted) -> Notice:
    """The trade's own notice; for a number nobody knows, that of a trade that never was."""
    accounts = [crafted.account] if crafted.account else world.store.accounts(crafted.channel)
    known = [one for one in world.store.trades(crafted.channel, crafted.out_trade_no) if one.account in accounts]
    if not known and not accounts:
        raise ImpossibleError("no account is registered at that channel")
    trade = known[-1] if known else _phantom(world, crafted, accounts[0])
    if not known or not trade.payments:
        number = trade.transaction or transaction_number(trade.channel, world.now())
        payment = Payment(number, trade.amount, trade.amount, trade.amount, world.now())
    else:
        payment = trade.payments[0]
    trade.transaction = trade.transaction or payment.transaction
    trade.scanned_at = trade.scanned_at or world.now()
    notice = world.courier.compose(trade, payment)
    if notice is None:
        raise ImpossibleError("that account is not registered")
    # One that was sent keeps its id, so that a replay is a replay.
    sent = [one for one in world.store.notices(trade.number) if one.account == trade.account]
    notice.id = sent[-1].id if sent else notice.id
    return notice


def _phantom(world: World, crafted: Crafted, account: str) -> Trade:
    merchant = world.store.merchant(account)
    parties = {"appid": merchant.appid, "mchid": merchant.mchid} if merchant else {}
    return Trade(
        channel=crafted.channel,
        account=account,
        number=crafted.out_trade_no,
        amount=1,
        subject="-",
        notify_url="",
        code="",
        code_expires_at=0,
        created_at=world.now(),
        fingerprint="",
        echo={"parties": parties} if crafted.channel == "wechat" else {},
    )


def _elsewhere(world: World, crafted: Crafted, notice: Notice) -> dict[str, Any]:
    """Another account of the channel, made up if there is none."""
    others = [account for account in world.store.accounts(crafted.channel) if account != notice.account]
    if crafted.channel == "wechat":
        merchant = world.store.merchant(others[0]) if others else None
        return {
            "mchid": merchant.mchid if merchant else "1900009999",
            "appid": merchant.appid if merchant else f"wx{secrets.token_hex(8)}",
        }
    app = world.store.app(others[0]) if others else None
    app_id = app.app_id if app else "2021000000009999"
    return {"app_id": app_id, "auth_app_id": app_id, "seller_id": app.seller_id if app else "2088999999999999"}


def _set(content: dict[str, Any], path: list[str], value: object) -> None:
    inner = content
    for name in path[:-1]:
        held = inner.get(name)
        inner[name] = dict(held) if isinstance(held, dict) else {}
        inner = inner[name]
    if value is None and path[0] == "transaction":
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
