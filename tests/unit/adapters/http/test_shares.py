"""/v1/orders/{id}/shares and /v1/receivers, and the operators' side of them: two people, then the channel."""

from typing import Any

import pytest

from domain.channels import Channel, Mode
from domain.permissions import FINANCE, OPERATIONS
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import Shop

RECEIVER = {
    "kind": "wechat_merchant",
    "account": "1900000109",
    "name": "火龙果科技有限公司",
    "relation": "service_provider",
}


@pytest.fixture
async def office() -> Office:
    return Office()


@pytest.fixture
async def shop(office: Office) -> Shop:
    """The merchant's own API, in the same house."""
    merchant = await office.house.merchant(of_platform=False)
    return Shop(office.house, merchant)


async def account_id(shop: Shop, channel: Channel = Channel.WECHAT) -> str:
    async with shop.house.database.unit_of_work() as uow:
        serving = await uow.accounts.serving(shop.merchant.merchant.id, Mode.TEST)
    return next(one.account.id for one in serving if one.account.channel is channel)


async def active_receiver(office: Office, shop: Shop) -> str:
    olga, fay = await office.person("olga", OPERATIONS), await office.person("fay", FINANCE)
    await olga.enter()
    await fay.enter()
    path = f"/channel_accounts/{await account_id(shop)}/receivers"
    proposed = await olga.call("POST", path, RECEIVER)
    assert proposed.status_code == 201, proposed.text
    assert proposed.json()["status"] == "proposed"
    listed = (await fay.call("GET", "/proposals")).json()["data"]
    decided = await fay.call("POST", f"/proposals/{listed[0]['id']}/approve")
    assert decided.status_code == 200, decided.text
    await office.house.tell_due_receivers()
    receivers = (await shop.call("GET", "/v1/receivers")).json()["data"]
    assert [(one["status"], one["account"]) for one in receivers] == [("active", "1900000109")]
    receiver_id: str = receivers[0]["id"]
    return receiver_id


async def paid(shop: Shop, **more: Any) -> str:
    body = {"merchant_order_no": "D-1", "amount": 10_000, "subject": "Coffee", "method": "wechat_native", **more}
    placed = (await shop.call("POST", "/v1/orders", body)).json()
    house = shop.house
    house.wechat.pay(placed["attempts"][0]["number"])
    async with house.database.unit_of_work() as uow:
        (attempt,) = await uow.attempts.of_order(placed["id"])
    await house.notice(house.wechat, attempt)
    order_id: str = placed["id"]
    return order_id


async def test_a_share_from_the_proposal_of_its_receiver_to_its_end(office: Office, shop: Shop) -> None:
    receiver_id, order_id = await active_receiver(office, shop), await paid(shop, profit_sharing=True)
    body = {
        "merchant_share_no": "S-1",
        "parts": [{"receiver_id": receiver_id, "amount": 300, "description": "佣金"}],
    }
    made = await shop.call("POST", f"/v1/orders/{order_id}/shares", body)
    assert (made.status_code, made.json()["status"]) == (201, "processing")
    again = await shop.call("POST", f"/v1/orders/{order_id}/shares", body)
    assert (again.status_code, again.json()["id"]) == (201, made.json()["id"])
    other = body | {"parts": [{"receiver_id": receiver_id, "amount": 301, "description": "佣金"}]}
    refused = await shop.call("POST", f"/v1/orders/{order_id}/shares", other)
    assert (refused.status_code, refused.json()["code"]) == (409, "merchant_share_no_taken")
    shop.house.wechat.sharing.settle()
    office.clock.advance(31)
    await shop.house.check_due_shares()
    found = (await shop.call("GET", f"/v1/shares/{made.json()['id']}")).json()
    assert (found["status"], found["parts"][0]["result"]) == ("finished", "succeeded")
    ended = await shop.call("POST", f"/v1/orders/{order_id}/shares/finish")
    assert (ended.status_code, ended.json()["ends_sharing"]) == (200, True)
    listed = (await shop.call("GET", f"/v1/orders/{order_id}/shares")).json()
    assert [one["ends_sharing"] for one in listed["data"]] == [True, False]
    assert (await shop.call("GET", f"/v1/orders/{order_id}")).json()["profit_sharing"] is True
    olga = await office.person("omar", OPERATIONS)
    await olga.enter()
    seen = (await olga.call("GET", f"/orders/{order_id}/shares")).json()
    assert [one["id"] for one in seen["data"]] == [one["id"] for one in listed["data"]]


async def test_another_merchant_sees_none_of_it(office: Office, shop: Shop) -> None:
    await active_receiver(office, shop)
    order_id = await paid(shop, profit_sharing=True)
    stranger = await shop.other()
    for path in (f"/v1/orders/{order_id}/shares",):
        assert (await shop.call("GET", path, key=stranger.api_key)).status_code == 404
    finish = await shop.call("POST", f"/v1/orders/{order_id}/shares/finish", key=stranger.api_key)
    assert finish.status_code == 404
    assert (await shop.call("GET", "/v1/receivers", key=stranger.api_key)).json()["data"] == []


async def test_an_order_that_was_not_marked_is_not_shared(office: Office, shop: Shop) -> None:
    receiver_id, order_id = await active_receiver(office, shop), await paid(shop)
    body = {"merchant_share_no": "S-1", "parts": [{"receiver_id": receiver_id, "amount": 1, "description": "x"}]}
    refused = await shop.call("POST", f"/v1/orders/{order_id}/shares", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_shared")
    assert (await shop.call("POST", f"/v1/orders/{order_id}/shares/finish")).status_code == 404


async def test_a_rejected_receiver_never_reaches_the_channel_and_may_be_proposed_again(
    office: Office, shop: Shop
) -> None:
    olga, fay = await office.person("olga", OPERATIONS), await office.person("fay", FINANCE)
    await olga.enter()
    await fay.enter()
    path = f"/channel_accounts/{await account_id(shop)}/receivers"
    await olga.call("POST", path, RECEIVER)
    twice = await olga.call("POST", path, RECEIVER)
    assert (twice.status_code, twice.json()["code"]) == (409, "receiver_exists")
    listed = (await fay.call("GET", "/proposals")).json()["data"]
    rejected = await fay.call("POST", f"/proposals/{listed[0]['id']}/reject", {"reason": "no contract"})
    assert rejected.status_code == 200, rejected.text
    assert await office.house.tell_due_receivers() == 0
    (one,) = (await olga.call("GET", f"/merchants/{shop.merchant.merchant.id}/receivers")).json()["data"]
    assert one["status"] == "rejected"
    assert (await olga.call("POST", path, RECEIVER)).status_code == 201


async def test_a_removed_receiver_gets_no_more(office: Office, shop: Shop) -> None:
    receiver_id, order_id = await active_receiver(office, shop), await paid(shop, profit_sharing=True)
    olga = await office.person("omar", OPERATIONS)
    await olga.enter()
    removed = await olga.call("POST", f"/receivers/{receiver_id}/remove")
    assert (removed.status_code, removed.json()["status"]) == (200, "removing")
    await office.house.tell_due_receivers()
    body = {"merchant_share_no": "S-1", "parts": [{"receiver_id": receiver_id, "amount": 1, "description": "x"}]}
    refused = await shop.call("POST", f"/v1/orders/{order_id}/shares", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "receiver_not_active")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "alipay_user"}, "receiver_kind_invalid"),
        ({"name": ""}, "receiver_name_required"),
    ],
)
async def test_a_receiver_that_could_never_receive_is_refused(
    office: Office, shop: Shop, change: dict[str, str], code: str
) -> None:
    olga = await office.person("olga", OPERATIONS)
    await olga.enter()
    path = f"/channel_accounts/{await account_id(shop)}/receivers"
    refused = await olga.call("POST", path, RECEIVER | change)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
