"""From where and how often a merchant's keys may call: the served application on PostgreSQL and Valkey."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.actors import SYSTEM
from tests.integration.stack import Stack, running

HERE, ELSEWHERE = "127.0.0.0/8", "198.51.100.0/24"
SECOND = 1.0  # a key just read is believed for so long, and its merchant's allow-list with it


@pytest.fixture
async def stack(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with running(database_url, redis_url, tmp_path) as stack:
        yield stack


async def edit(stack: Stack, **changes: Any) -> None:
    await stack.container.keep_merchants().edit(SYSTEM, stack.merchant.merchant_id, **changes)


async def settled(stack: Stack, status: int) -> dict[str, Any]:
    """The first answer with this status, which has to come within moments of the change."""
    deadline = time.monotonic() + SECOND + 10
    while (answer := await stack.api("GET", "/orders")).status_code != status:
        assert time.monotonic() < deadline, answer.text
    return dict(answer.json())


async def test_keys_work_from_the_addresses_of_the_allow_list_alone(stack: Stack) -> None:
    await edit(stack, networks=(ELSEWHERE,))
    assert (await settled(stack, 403))["code"] == "address_not_allowed"
    headers = {"Authorization": f"Bearer {stack.merchant.api_key}", "X-Forwarded-For": "198.51.100.7"}
    lied = await stack.http.get(f"{stack.web}/v1/orders", headers=headers)
    assert lied.status_code == 403, "nobody trusts this proxy"
    wrong = await stack.http.get(f"{stack.web}/v1/orders", headers={"Authorization": "Bearer pty_sk_test_x"})
    assert wrong.status_code == 401, "who has no key does not learn of the list"
    order = {"merchant_order_no": "A-1", "amount": 100, "currency": "CNY", "subject": "x"}
    assert (await stack.api("POST", "/orders", json=order)).status_code == 403
    await edit(stack, networks=(ELSEWHERE, HERE))
    assert (await settled(stack, 200))["data"] == [], "the refused call has placed nothing"
    await edit(stack, networks=())
    assert (await stack.api("POST", "/orders", json=order)).status_code == 201


async def test_orders_beyond_the_pace_are_told_when_to_come_again(stack: Stack) -> None:
    await stack.container.keep_merchants().limit_orders(SYSTEM, stack.merchant.merchant_id, 3)
    await edit(stack, networks=(ELSEWHERE,))
    await settled(stack, 403)  # what was known of the merchant before is forgotten
    await edit(stack, networks=())
    await settled(stack, 200)
    answers: list[httpx.Response] = []
    while len(answers) < 8 and (not answers or answers[-1].status_code == 201):
        order = {"merchant_order_no": f"A-{len(answers)}", "amount": 100, "currency": "CNY", "subject": "x"}
        answers.append(await stack.api("POST", "/orders", json=order))
    *placed, refused = answers
    assert refused.status_code == 429, refused.text
    assert 3 <= len(placed) <= 6, "twice as many where a minute ended meanwhile"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    read = await stack.api("GET", "/orders")
    assert len(read.json()["data"]) == len(placed), "who may not place may look"
