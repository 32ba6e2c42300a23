"""What a payer can do with a code, by hand on the phone or from a test: scan, pay, refuse."""

import asyncio
import secrets

from sandbox.model import AuthCode, Channel, Payment, Trade, Wallet
from sandbox.wire import day_digits, digits
from sandbox.world import World

# The loop keeps only weak references to its tasks.
_UNDER_WAY: set[asyncio.Task[None]] = set()


class NotPayableError(Exception):
    """The wallet refuses: the code is paid, closed or expired."""


def show_code(world: World, channel: Channel, wallet: Wallet = "pays", seconds: float = 60) -> AuthCode:
    """The bar code of a wallet: 18 digits at both, Alipay's from 25 to 30, WeChat Pay's from 10 to 15."""
    first = secrets.choice(range(25, 31) if channel == "alipay" else range(10, 16))
    code = AuthCode(f"{first}{digits(16)}", channel, wallet, world.now() + seconds)
    world.store.save_auth_code(code)
    return code


def take_code(world: World, channel: Channel, code: str, number: str) -> Wallet | None:
    """Scans a wallet's bar code for a merchant's number; None for one that is not good (any more)."""
    shown = world.store.auth_code(code)
    if shown is None or shown.channel != channel or shown.number or world.now() > shown.expires_at:
        return None
    shown.number = number
    world.store.save_auth_code(shown)
    return shown.wallet


def transaction_number(channel: Channel, now: float) -> str:
    """A channel's own number of a payment, 28 digits at both."""
    if channel == "alipay":
        return f"{day_digits(now)}22001{digits(15)}"
    return f"4200{digits(6)}{day_digits(now)}{digits(10)}"


def scan(world: World, trade: Trade) -> None:
    """Opens the code: at Alipay this, and not the merchant's call, makes the trade."""
    now = world.now()
    if trade.scanned_at is not None or trade.payable(now) != "payable":
        return
    trade.scanned_at = now
    if trade.channel == "alipay":
        trade.transaction = transaction_number("alipay", now)
        if trade.pay_within is not None:
            latest = now + trade.pay_within
            trade.deadline = latest if trade.deadline is None else min(trade.deadline, latest)
    world.store.save_trade(trade)


def pay(
    world: World,
    trade: Trade,
    *,
    amount: int | None = None,
    received: int | None = None,
    payer_paid: int | None = None,
    force: bool = False,
    notify: bool = True,
) -> Payment:
    """Moves the money and owes the merchant a notice; `force` pays what no honest wallet would."""
    scan(world, trade)
    now = world.now()
    if not force and trade.payable(now) != "payable":
        raise NotPayableError(trade.payable(now))
    first = trade.channel == "alipay" and trade.transaction and not trade.payments
    total = trade.amount if amount is None else amount
    settled = total if received is None else received
    payment = Payment(
        transaction=trade.transaction if first else transaction_number(trade.channel, now),
        amount=total,
        received=settled,
        payer_paid=settled if payer_paid is None else payer_paid,
        paid_at=now,
    )
    trade.transaction = trade.transaction or payment.transaction
    trade.scanned_at = trade.scanned_at or now
    trade.payments.append(payment)
    world.store.save_trade(trade)
    if notify:
        world.courier.tell(trade, payment)
    return payment


def refuse(world: World, trade: Trade) -> None:
    """Looks at the amount and walks away: the trade stays unpaid."""
    scan(world, trade)
    trade.refused_at = world.now()
    world.store.save_trade(trade)


def close(world: World, trade: Trade, *, notify: bool = True) -> None:
    """Ends an unpaid trade; Alipay tells the merchant of it (`TRADE_CLOSED`), WeChat Pay does not."""
    trade.closed_at = world.now()
    world.store.save_trade(trade)
    if notify and trade.channel == "alipay" and trade.transaction:
        world.courier.tell(trade, None)


def close_expired(world: World) -> None:
    """What Alipay does at the deadline of trades that were scanned and not paid."""
    for trade in world.store.trades_to_close(world.now()):
        close(world, trade)


def pay_later(world: World, trade: Trade, seconds: float) -> None:
    """The payment was under way when the merchant closed the order, and comes through after all."""

    async def come_through() -> None:
        await asyncio.sleep(seconds)
        known = world.store.trade(trade.channel, trade.account, trade.number)
        if known:
            pay(world, known, force=True)

    task = asyncio.get_running_loop().create_task(come_through())
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
