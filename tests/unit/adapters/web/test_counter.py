"""The page behind a static code: who is paid, how much, and on to the cashier."""

import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from adapters.inbound.web.counter import yuan
from adapters.inbound.web.forms import FIELD
from application.keep_codes import ORDERS
from domain.channels import Mode
from domain.codes import StaticCode
from domain.money import Money
from domain.orders import Order
from tests.unit.adapters.apps import SharedApp
from tests.unit.adapters.web.world import World

Client = AsyncTestClient[SharedApp]


async def hung(world: World, **fields: Any) -> StaticCode:
    return await world.house.keep_codes.add(world.caller(Mode.LIVE), "Till 3", **fields)


async def entered(client: Client, code: StaticCode, amount: str = "12.5") -> Any:
    page = await client.get(f"/c/{code.token}")
    found = re.search(rf'name="{FIELD}" value="([^"]+)"', page.text)
    assert found is not None
    return await client.post(f"/c/{code.token}", data={FIELD: found[1], "amount": amount})


def orders(world: World) -> list[Order]:
    return [row.order for row in world.house.database.tables.orders.committed.values()]


async def test_looking_at_it_places_nothing(world: World, client: Client) -> None:
    code = await hung(world)
    page = await client.get(f"/c/{code.token}")
    assert page.status_code == 200
    assert world.payee in page.text
    assert orders(world) == []


async def test_an_amount_becomes_an_order_of_the_merchant(world: World, client: Client) -> None:
    code = await hung(world)
    answer = await entered(client, code)
    (order,) = orders(world)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/pay/{order.cashier_token}")
    assert (order.merchant_id, order.mode, order.amount) == (code.merchant_id, code.mode, Money(1_250))
    assert re.fullmatch("QR[0-9A-HJKMNP-TV-Z]{26}", order.request.merchant_order_no)
    assert order.request.metadata == {"code": code.id}


async def test_a_code_with_an_amount_takes_no_other(world: World, client: Client) -> None:
    await entered(client, await hung(world, amount=Money(1_990)), "0.01")
    assert [order.amount for order in orders(world)] == [Money(1_990)]


@pytest.mark.parametrize("amount", ["", "0", "0.00", "-1", "1.234", "1e3", "１２", "1,000", "abc", "1000.01", "9" * 20])
async def test_what_is_no_amount_places_nothing(world: World, client: Client, amount: str) -> None:
    answer = await entered(client, await hung(world, most=Money(100_000)), amount)
    assert answer.status_code == 422
    assert "¥1,000.00" in answer.text
    assert orders(world) == []


async def test_a_code_that_is_off_takes_nothing(world: World, client: Client) -> None:
    code = await hung(world)
    page = await client.get(f"/c/{code.token}")
    await world.house.keep_codes.switch(world.caller(Mode.LIVE), code.id, enabled=False)
    found = re.search(rf'name="{FIELD}" value="([^"]+)"', page.text)
    assert found is not None
    answer = await client.post(f"/c/{code.token}", data={FIELD: found[1], "amount": "1"})
    assert 'id="place"' not in answer.text
    assert orders(world) == []


async def test_a_foreign_form_places_nothing(world: World, client: Client) -> None:
    code = await hung(world)
    assert (await client.post(f"/c/{code.token}", data={"amount": "1"})).status_code == 403
    assert orders(world) == []


async def test_a_crowd_is_held_back(world: World, client: Client) -> None:
    code = await hung(world)
    for _ in range(ORDERS):
        await world.house.order_by_code(code.token, Money(1), payer_ip=None, locale=None)
    assert (await entered(client, code)).status_code == 429
    world.advance(61)
    assert (await entered(client, code)).status_code == 303


@pytest.mark.parametrize("token", ["nobody", "a-b", "é"])
async def test_an_unknown_code_is_a_friendly_404(client: Client, token: str) -> None:
    assert (await client.get(f"/c/{token}")).status_code == 404


@pytest.mark.parametrize(
    ("text", "fen"), [("12", 1200), ("12.5", 1250), ("12.50", 1250), ("0.01", 1), (" 3 ", 300), ("7.", 700)]
)
def test_amounts_as_people_type_them(text: str, fen: int) -> None:
    assert yuan(text) == Money(fen)
