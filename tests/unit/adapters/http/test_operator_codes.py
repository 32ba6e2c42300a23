"""A merchant's static codes in an operator's hands: made, listed, switched, written down."""

import asyncio
from typing import Any

import pytest

from application.keep_codes import MOST_CODES
from domain.channels import Mode
from domain.errors import Conflict
from domain.merchants import Caller
from domain.money import Money
from domain.permissions import OPERATIONS, RISK
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of

TEST: dict[str, Any] = {"mode": "test"}
NAMED = TEST | {"name": "Till 3"}


async def open_office(*roles: str) -> tuple[Office, Person, str]:
    office = Office()
    mina = await (await office.person("mina", *roles or (OPERATIONS,))).enter()
    return office, mina, f"/merchants/{await office.merchant()}/codes"


def token_of(view: dict[str, Any]) -> str:
    return str(view["url"]).removeprefix("https://pay.example/c/")


async def test_an_operators_code_is_the_merchants_and_takes_orders_by_it() -> None:
    office, mina, codes = await open_office()
    made = await mina.call("POST", codes, NAMED | {"amount": 1990})
    assert made.status_code == 201, made.text
    view = made.json()
    assert (view["name"], view["amount"], view["enabled"], view["mode"]) == ("Till 3", 1990, True, "test")
    assert (await mina.call("GET", f"{codes}?mode=test")).json()["data"] == [view]
    assert (await mina.call("GET", codes)).json()["data"] == []  # live is another list
    merchant_id = codes.split("/")[2]
    (own,) = await office.house.keep_codes.all(Caller(merchant_id, Mode.TEST))
    placed = await office.house.order_by_code(own.token, None, payer_ip=None, locale=None)
    assert (token_of(view), placed.merchant_id, placed.amount) == (own.token, merchant_id, Money(1990))


async def test_a_code_is_switched_off_and_on_and_each_change_is_written_down_once_without_its_token() -> None:
    office, mina, codes = await open_office()
    view = (await mina.call("POST", codes, NAMED)).json()
    for switch, enabled in (("disable", False), ("disable", False), ("enable", True), ("enable", True)):
        answer = await mina.call("POST", f"{codes}/{view['id']}/{switch}", TEST)
        assert (answer.status_code, answer.json()) == (200, view | {"enabled": enabled}), answer.text
        if not enabled:
            with pytest.raises(Conflict):
                await office.house.order_by_code(token_of(view), Money(1), payer_ip=None, locale=None)
    placed = await office.house.order_by_code(token_of(view), Money(1), payer_ip=None, locale=None)
    assert placed.amount == Money(1)
    records = [row.record for row in office.house.database.tables.audit.committed.values()]
    done = [each for each in records if each.object_type == "code"]
    assert [each.action for each in done] == ["code.created", "code.disabled", "code.enabled"]
    assert {(each.actor.name, each.merchant_id, each.object_id) for each in done} == {
        ("Mina", codes.split("/")[2], view["id"])
    }
    assert token_of(view) not in repr(records)


async def test_risk_switches_a_code_off_and_makes_none() -> None:
    _, olga, codes = await open_office(RISK)
    assert code_of(await olga.call("POST", codes, NAMED)) == "permission_missing"
    assert code_of(await olga.call("POST", f"{codes}/cod_x/disable", TEST)) == "not_found"


async def test_a_code_of_another_merchant_or_mode_is_not_found_and_stays_as_it_is() -> None:
    office, mina, codes = await open_office()
    view = (await mina.call("POST", codes, NAMED)).json()
    stranger = f"/merchants/{await office.merchant()}/codes"
    for path, body in ((f"{codes}/{view['id']}/disable", {"mode": "live"}), (f"{stranger}/{view['id']}/disable", TEST)):
        assert code_of(await mina.call("POST", path, body)) == "not_found"
    assert code_of(await mina.call("POST", "/merchants/mch_nobody/codes", NAMED)) == "not_found"
    assert (await mina.call("GET", f"{codes}?mode=test")).json()["data"] == [view]
    assert office.did().count("code.created") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Till 3"},
        TEST,
        NAMED | {"name": ""},
        NAMED | {"name": "x" * 128},
        NAMED | {"amount": 0},
        NAMED | {"amount": "1990"},
        NAMED | {"amount": 19.9},
        NAMED | {"most": -1},
        NAMED | {"currency": "USD"},
        NAMED | {"mode": "both"},
    ],
)
async def test_what_is_no_code_makes_none(body: dict[str, Any]) -> None:
    office, mina, codes = await open_office()
    assert (await mina.call("POST", codes, body)).status_code in (400, 422)
    assert not office.house.database.tables.codes.committed


async def test_the_same_call_again_makes_one_code_and_there_are_no_more_than_may_be() -> None:
    office, mina, codes = await open_office()
    key = {"Idempotency-Key": "till-3"}
    answers = await asyncio.gather(*(mina.call("POST", codes, NAMED, headers=key) for _ in range(4)))
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(office.house.database.tables.codes.committed) == 1
    caller = Caller(codes.split("/")[2], Mode.TEST)
    for n in range(1, MOST_CODES):
        await office.house.keep_codes.add(caller, f"Till {n}")
    assert code_of(await mina.call("POST", codes, NAMED)) == "too_many_codes"
    assert (await mina.call("POST", codes, NAMED | {"mode": "live"})).status_code == 201
