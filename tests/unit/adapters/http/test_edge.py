"""What every answer has: an id, security headers, a measurement; and health."""

import pytest
import structlog

from tests.unit.adapters.http.shop import Shop, order

STRICT = ("default-src 'self'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'")


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/v1/orders"), ("GET", "/nothing"), ("PUT", "/v1/orders"), ("GET", "/livez"), ("POST", "/v1/orders"),
    ("GET", "/v1/orders/%00"), ("OPTIONS", "/v1/orders"), ("POST", "/notices/alipay/x"),
])  # fmt: skip
async def test_every_answer_has_an_id_and_the_security_headers(quiet_shop: Shop, method: str, path: str) -> None:
    headers = (await quiet_shop.call(method, path)).headers
    assert len(headers.get_list("x-request-id")) == 1
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert all(directive in headers["content-security-policy"] for directive in STRICT)
    assert "unsafe" not in headers["content-security-policy"]


async def test_the_merchants_answers_are_not_to_be_kept_by_caches(shop: Shop) -> None:
    answer = await shop.call("POST", "/v1/orders", order())
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["a", "abc-DEF_123", "x" * 64])
async def test_a_sane_request_id_is_kept(quiet_shop: Shop, given: str) -> None:
    answer = await quiet_shop.call("GET", "/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\x1b[31m", '{"a":1}', "é"])
async def test_any_other_request_id_is_replaced(quiet_shop: Shop, given: str) -> None:
    answer = await quiet_shop.call("GET", "/nothing", headers=[("X-Request-Id", given)])
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_the_request_log_has_the_ids_and_no_secret(shop: Shop) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await shop.call(
            "POST", "/v1/orders?x=1", order(), headers={"X-Request-Id": "r-1", "Idempotency-Key": "secret-key"}
        )
        assert answer.status_code == 400
        answer = await shop.call("POST", "/v1/orders", order(method="alipay_qr"), headers={"X-Request-Id": "r-2"})
        await shop.call("GET", "/livez")
    *_, line, after = lines
    assert (line["request_id"], line["route"], line["status"]) == ("r-2", "/v1/orders", 201)
    assert line["order_id"] == answer.json()["id"]
    assert line["attempt_id"] == answer.json()["attempts"][0]["id"]
    text = repr(lines)
    assert shop.merchant.api_key not in text
    assert "secret-key" not in text
    assert answer.json()["cashier_url"].rsplit("/", 1)[1] not in text
    assert after["route"] == "/livez"
    assert not {"order_id", "attempt_id", "merchant_id"} & set(after), "ids of one request leak into the next"


async def test_head_is_get_without_its_body(quiet_shop: Shop) -> None:
    for path in ("/livez", "/v1/orders", "/docs", "/docs/openapi.json"):
        head = await quiet_shop.call("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == (await quiet_shop.call("GET", path)).headers["content-length"]
    assert (await quiet_shop.call("HEAD", "/v1/orders/x")).status_code == 404


async def test_metrics_count_routes_and_not_addresses(shop: Shop) -> None:
    await shop.call("POST", "/v1/orders", order())
    await shop.call("POST", "/v1/orders", order())
    await shop.call("GET", "/v1/orders/ord_1")
    await shop.call("GET", "/v1/orders/ord_2")
    await shop.call("GET", "/wp-admin.php")
    await shop.call("FROB", "/wp-admin.php")
    answer = await shop.call("GET", "/metrics", key=None)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    assert 'pitaya_http_requests_total{method="POST",route="/v1/orders",status="201"} 2.0' in lines
    assert 'pitaya_http_requests_total{method="GET",route="/v1/orders/{order_id}",status="404"} 2.0' in lines
    assert 'pitaya_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in lines
    assert 'pitaya_orders_placed_total{mode="test"} 1.0' in lines
    assert "ord_1" not in answer.text
    assert "wp-admin" not in answer.text
    assert "FROB" not in answer.text
    assert all(line.startswith(("# ", "pitaya_")) for line in lines)


async def test_live_says_nothing_of_others_and_ready_does(shop: Shop) -> None:
    shop.checks = [("database", True, "schema 1", True), ("redis", False, "refused", False)]
    assert (await shop.call("GET", "/livez", key=None)).json() == {"status": "live"}
    ready = await shop.call("GET", "/readyz", key=None)
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["checks"][1] == {"name": "redis", "ok": False, "detail": "refused", "required": False}
    shop.checks = [("database", False, "gone", True), ("redis", True, "", False)]
    unready = await shop.call("GET", "/readyz", key=None)
    assert (unready.status_code, unready.json()["status"]) == (503, "unready")
    assert (await shop.call("GET", "/livez", key=None)).status_code == 200
