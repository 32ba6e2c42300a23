"""How the tests open the cashier and choose on it."""

import html
import re

from httpx import Response
from litestar.testing import AsyncTestClient

from domain.orders import Order
from tests.unit.adapters.apps import SharedApp

Client = AsyncTestClient[SharedApp]


def address(order: Order) -> str:
    return f"/pay/{order.cashier_token}"


async def opened(client: Client, order: Order, **headers: str) -> Response:
    answer = await client.get(address(order), headers=headers)
    assert answer.status_code == 200
    return answer


def token_in(page: Response) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found is not None
    return html.unescape(found[1])


async def chosen(client: Client, order: Order, method: str = "alipay_qr") -> Response:
    """The page after a payer has pressed a method's button on it."""
    page = await opened(client, order)
    answer = await client.post(address(order), data={"form_token": token_in(page), "method": method})
    assert answer.status_code == 303
    return await client.get(answer.headers["location"])
