"""The shop's own orders: made, found again by Pitaya's id, and what it hands to the pages."""

import re
import secrets
from typing import Any
from urllib.parse import parse_qs

from litestar import Request

from sandbox.model import ShopOrder
from sandbox.shop.client import Pitaya, Whole
from sandbox.wire import day_digits
from sandbox.world import World


async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The last value of each field."""
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def problem_of(request: Request[Any, Any, Any]) -> str:
    """Why the last form came to nothing, as the address says it: a word of ours or of Pitaya's."""
    said = str(request.query_params.get("problem", ""))
    return said if re.fullmatch(r"[a-z_]{1,40}", said) else ""


def begun(world: World, product: str, amount: int, **more: Any) -> ShopOrder:
    """A new order, kept before anybody is asked for money."""
    now = world.now()
    number = f"SHOP{day_digits(now)}{secrets.token_hex(5).upper()}"
    order = ShopOrder(merchant_order_no=number, product=product, amount=amount, created_at=now, **more)
    world.store.save_shop_order(order)
    return order


async def placed(world: World, order: ShopOrder, subject: str, lang: str) -> ShopOrder:
    """Placed with Pitaya. Raises RefusedError."""
    asked = {
        "merchant_order_no": order.merchant_order_no,
        "amount": order.amount,
        "currency": "CNY",
        "subject": subject,
        "return_url": f"{world.public_url}/shop/orders/{order.merchant_order_no}?lang={lang}",
        "notify_url": f"{world.public_url}/shop/notifications",
        "locale": "en" if lang == "en" else "zh-CN",
    }
    whole = await Pitaya(world.store.settings()).place(asked)
    # The webhook may have been quicker than the answer: what it wrote stays.
    order = world.store.shop_order(order.merchant_order_no) or order
    order.status = "waiting" if order.status == "new" else order.status
    order.cashier_url = whole.cashier_url
    known(world, order, whole.id)
    world.store.save_shop_order(order)
    return order


def known(world: World, order: ShopOrder, order_id: str) -> None:
    """From now on events that name Pitaya's id alone are this order's too."""
    order.order_id = order_id
    world.store.put("shop_order", order_id, order.merchant_order_no)


def by_id(world: World, order_id: str) -> ShopOrder | None:
    number = world.store.thing("shop_order", order_id, str)
    return world.store.shop_order(number) if number else None


async def whole(world: World, order: ShopOrder) -> Whole:
    """What Pitaya says of it now. Raises RefusedError."""
    return await Pitaya(world.store.settings()).order(order.order_id)
