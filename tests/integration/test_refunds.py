"""Refunds over real wires: the merchant API, both adapters, the sandbox's channels and their consoles, PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from adapters.outbound.sql.promises import SqlPromises
from domain.actors import Actor, ActorKind
from domain.channels import Channel, Method
from domain.permissions import PLATFORM_PERMISSIONS
from domain.redirections import Card, Destination
from tests.integration.stack import Stack, running

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
BOTH = pytest.mark.parametrize("method", [ALIPAY, WECHAT])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    module_database_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    logs: Path = tmp_path_factory.mktemp("refunds")
    async with running(module_database_url, redis_server, logs) as stack:
        yield stack


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def honest(stack: Stack) -> None:
    """Each test begins with channels that do what they should, and with their refunds done in a moment."""
    await stack.http.delete(f"{stack.sandbox}/control/faults")
    await stack.control("settings", wechat_refund_seconds=0.1, wechat_refund_gap=0)


async def paid(stack: Stack, method: Method) -> tuple[dict[str, Any], dict[str, Any]]:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.pay(attempt, method)
    await stack.until(order, "paid")
    return order, attempt


async def ask(stack: Stack, order: dict[str, Any], amount: int = 4_000) -> dict[str, Any]:
    body = {"merchant_refund_no": secrets.token_hex(8), "order_id": order["id"], "amount": amount, "reason": "不想要了"}
    answer = await stack.api("POST", "/refunds", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def whole(stack: Stack, order: dict[str, Any]) -> dict[str, Any]:
    return dict((await stack.api("GET", f"/orders/{order['id']}")).json())


async def swept(stack: Stack, order: dict[str, Any], status: str) -> dict[str, Any]:
    """The order's one refund, when it has this status; as the worker would, with every rung due at once."""
    async with asyncio.timeout(20):
        while True:
            refunds = (await whole(stack, order))["refunds"]
            if refunds and refunds[0]["status"] == status:
                (refund,) = refunds
                return dict(refund)
            async with stack.container.database().engine.begin() as connection:
                await connection.execute(text("UPDATE refund SET next_at = now() WHERE next_at IS NOT NULL"))
            await stack.sweep("check_refunds")
            await asyncio.sleep(0.1)


@BOTH
async def test_a_refund_succeeds_and_the_order_says_what_is_left(stack: Stack, method: Method) -> None:
    order, _ = await paid(stack, method)
    refund = await ask(stack, order)
    assert refund["status"] == ("succeeded" if method is ALIPAY else "accepted")
    done = await swept(stack, order, "succeeded")
    assert (done["id"], done["fee_returned"]) == (refund["id"], 24)
    now = await whole(stack, order)
    assert (now["refunded_amount"], now["fee_amount"], now["net_amount"]) == (4_000, 36, 5_964)


@BOTH
@pytest.mark.parametrize("fault", ["lost", "torn"])
async def test_an_answer_that_does_not_come_is_unknown_and_ends_in_one_refund(
    stack: Stack, method: Method, fault: str
) -> None:
    """J2, D5 on the wire: the channel did it, or did not hear it, and there is one refund under one number."""
    order, attempt = await paid(stack, method)
    await stack.control("faults", channel=method.channel, api="refund", fault=fault, times=1)
    refund = await ask(stack, order)
    assert refund["status"] in ("unknown", "submitted")
    done = await swept(stack, order, "succeeded")
    assert done["number"] == refund["number"]
    trades = (await stack.http.get(f"{stack.sandbox}/control/trades?out_trade_no={attempt['number']}")).json()
    if method is ALIPAY:
        assert [row["number"] for row in trades[0]["refunds"]] == [refund["number"]]


@BOTH
async def test_a_channel_account_that_is_short_is_asked_again(stack: Stack, method: Method) -> None:
    order, _ = await paid(stack, method)
    await stack.control("faults", channel=method.channel, api="refund", fault="funds_short", times=1)
    refund = await ask(stack, order)
    assert refund["status"] == "awaiting_channel_funds"
    assert (await swept(stack, order, "succeeded"))["number"] == refund["number"]


async def test_a_refund_that_wechat_pay_closes_has_failed_and_its_money_is_the_merchants_again(stack: Stack) -> None:
    order, _ = await paid(stack, WECHAT)
    await stack.control("faults", channel="wechat", api="refund", fault="refund_closed", times=1)
    assert (await ask(stack, order))["status"] == "accepted"
    await swept(stack, order, "failed")
    now = await whole(stack, order)
    assert (now["refunded_amount"], now["refunding_amount"], now["net_amount"]) == (0, 0, 9_940)


async def test_a_refund_whose_payer_has_no_card_any_more_waits_for_a_person(stack: Stack) -> None:
    order, _ = await paid(stack, WECHAT)
    await stack.control("faults", channel="wechat", api="refund", fault="refund_abnormal", times=1)
    await ask(stack, order)
    await swept(stack, order, "abnormal")
    assert (await whole(stack, order))["refunding_amount"] == 4_000


async def test_two_people_send_it_to_another_card(stack: Stack) -> None:
    order, _ = await paid(stack, WECHAT)
    await stack.control("faults", channel="wechat", api="refund", fault="refund_abnormal", times=1)
    await ask(stack, order)
    refund = await swept(stack, order, "abnormal")
    mina, chen = (
        Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=frozenset(PLATFORM_PERMISSIONS))
        for name in ("mina", "chen")
    )
    card = Card("CMB_DEBIT", "6214830212345678", "王小明")
    proposal = await stack.container.propose_redirection()(
        mina, refund["id"], Destination.PAYER_CARD, "the payer called", card=card
    )
    await stack.container.decide_proposal().approve(chen, proposal.id)
    assert (await swept(stack, order, "succeeded"))["destination"] == "payer_card"
    assert (await whole(stack, order))["refunded_amount"] == 4_000


@BOTH
async def test_a_refund_in_the_channels_console_is_one_of_the_order(stack: Stack, method: Method) -> None:
    order, attempt = await paid(stack, method)
    await stack.control(f"{method.channel}/{CONSOLE[method.channel]}", out_trade_no=attempt["number"], amount=4_000)
    refund = await swept(stack, order, "succeeded")
    assert (refund["origin"], refund["status"], refund["amount"]) == ("console", "succeeded", 4_000)
    assert (await whole(stack, order))["net_amount"] == 5_964


CONSOLE = {Channel.ALIPAY: "refund", Channel.WECHAT: "refunds"}


async def test_money_for_a_closed_order_goes_back_by_itself(stack: Stack) -> None:
    """J1, D1 on the wire."""
    order = await stack.place()
    attempt = await stack.start(order, ALIPAY)
    assert (await stack.api("POST", f"/orders/{order['id']}/close")).status_code == 200
    await stack.pay(attempt, ALIPAY)
    refund = await swept(stack, order, "succeeded")
    assert (refund["origin"], refund["amount"]) == ("suspense", 10_000)
    assert (await whole(stack, order))["status"] == "closed"


async def test_when_all_is_done_every_promise_of_money_holds(stack: Stack) -> None:
    broken = await SqlPromises(stack.container.database().engine).broken()
    assert [each for each in broken if each.promise.startswith("M")] == []
