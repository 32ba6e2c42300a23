"""Channel notices: bytes in, the channel's own answer out."""

import pytest

from domain.attempts import Attempt
from domain.kept_notices import MOST_BODY
from tests.fakes.database import DatabaseFault
from tests.unit.adapters.http.shop import Shop, code_of, order

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def attempt_of(shop: Shop, method: str = "alipay_qr") -> Attempt:
    assert (await shop.call("POST", "/v1/orders", order(method=method))).status_code == 201
    (attempt,) = shop.stored()["attempt"].values()
    assert isinstance(attempt, Attempt)
    return attempt


@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded; charset=GBK", "x"])
async def test_a_signed_notice_pays_the_order_whatever_it_calls_its_body(shop: Shop, media_type: str) -> None:
    attempt = await attempt_of(shop)
    shop.house.alipay.pay(attempt.number)
    headers, body = shop.house.alipay.notice(attempt.number)
    sent = {name.title(): value for name, value in headers.items()} | {"Content-Type": media_type}
    for _ in range(2):
        answer = await shop.call("POST", f"/notices/alipay/{attempt.account_id}", content=body, headers=sent, key=None)
        assert (answer.status_code, answer.content) == (200, b"success")
        assert answer.headers["content-type"].startswith("text/plain")
    assert (await shop.call("GET", f"/v1/orders/{attempt.order_id}")).json()["status"] == "paid"
    assert len(shop.stored()["channel_payment"]) == 1
    text = (await shop.call("GET", "/metrics")).text
    assert 'pitaya_notices_total{channel="alipay",outcome="confirmed"} 1.0' in text
    assert 'pitaya_notices_total{channel="alipay",outcome="known"} 1.0' in text


@pytest.mark.parametrize("body", [b"", b"{}", b"a=b&a=b", b"\xff\x00", b"%", b"[" * 60_000, b"<!DOCTYPE x>"])
async def test_a_notice_that_nobody_signed_is_answered_in_the_channels_words_and_changes_nothing(
    shop: Shop, body: bytes
) -> None:
    attempt = await attempt_of(shop)
    before = shop.stored()
    answer = await shop.call("POST", f"/notices/alipay/{attempt.account_id}", content=body, headers=FORM, key=None)
    assert (answer.status_code, answer.content) == (500, b"fail")
    after = shop.stored()
    (kept,) = after.pop("refused_notice").values()
    assert (kept.reason, kept.body, "authorization" in kept.headers) == ("signature_invalid", body[:MOST_BODY], False)
    before.pop("refused_notice")
    assert after == before
    assert 'pitaya_notices_total{channel="alipay",outcome="rejected"} 1.0' in (await shop.call("GET", "/metrics")).text


async def test_a_notice_at_another_channels_address_or_at_none_is_not_found(shop: Shop) -> None:
    attempt = await attempt_of(shop)
    shop.house.alipay.pay(attempt.number)
    headers, body = shop.house.alipay.notice(attempt.number)
    before = shop.stored()
    for path in (f"wechat/{attempt.account_id}", "alipay/cha_unknown", f"unionpay/{attempt.account_id}", "alipay"):
        answer = await shop.call("POST", f"/notices/{path}", content=body, headers=headers, key=None)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert shop.stored() == before


async def test_a_notice_while_the_database_is_away_is_to_be_repeated(shop: Shop) -> None:
    attempt = await attempt_of(shop)
    shop.house.alipay.pay(attempt.number)
    headers, body = shop.house.alipay.notice(attempt.number)
    path = f"/notices/alipay/{attempt.account_id}"
    shop.house.database.faults.once(DatabaseFault.LOST_CONNECTION)
    answer = await shop.call("POST", path, content=body, headers=headers, key=None)
    assert (answer.status_code, code_of(answer)) == (503, "temporarily_unavailable")
    assert (await shop.call("POST", path, content=body, headers=headers, key=None)).content == b"success"
