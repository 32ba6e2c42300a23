"""Whatever arrives that should not: a 4xx problem with a stable code, and nothing stored."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.adapters.http.shop import Shop, code_of, order

ORDERS = "/v1/orders"
ENDPOINTS = "/v1/webhook_endpoints"
NUL = "\x00"
LINK = "https://shop.example/x"

# field, value, status, code: one wrong field in an otherwise good order
FIELDS: list[tuple[str, Any, int, str]] = [
    ("merchant_order_no", ..., 400, "field_missing"),
    ("merchant_order_no", 1, 400, "type_invalid"),
    ("merchant_order_no", None, 400, "type_invalid"),
    ("merchant_order_no", "", 422, "value_invalid"),
    ("merchant_order_no", "x" * 65, 422, "value_invalid"),
    ("merchant_order_no", "a b", 422, "value_invalid"),
    ("merchant_order_no", "a\n", 422, "value_invalid"),
    ("merchant_order_no", "订单", 422, "value_invalid"),
    ("merchant_order_no", "１２", 422, "value_invalid"),
    ("merchant_order_no", "a" + NUL, 400, "encoding_invalid"),
    ("amount", ..., 400, "field_missing"),
    ("amount", "100", 400, "type_invalid"),
    ("amount", "1e2", 400, "type_invalid"),
    ("amount", 100.0, 400, "type_invalid"),
    ("amount", 0.5, 400, "type_invalid"),
    ("amount", True, 400, "type_invalid"),
    ("amount", None, 400, "type_invalid"),
    ("amount", [100], 400, "type_invalid"),
    ("amount", {}, 400, "type_invalid"),
    ("amount", 0, 422, "value_invalid"),
    ("amount", -1, 422, "value_invalid"),
    ("amount", 10**10 + 1, 422, "value_invalid"),
    ("amount", 2**63, 422, "value_invalid"),
    ("amount", 10**100, 422, "value_invalid"),
    ("amount", -(10**100), 422, "value_invalid"),
    ("currency", "USD", 422, "currency_unsupported"),
    ("currency", "cny", 422, "currency_unsupported"),
    ("currency", "", 422, "currency_unsupported"),
    ("currency", "CNY\n", 422, "currency_unsupported"),
    ("currency", 156, 400, "type_invalid"),
    ("currency", None, 400, "type_invalid"),
    ("subject", ..., 400, "field_missing"),
    ("subject", "", 422, "value_invalid"),
    ("subject", "x" * 128, 422, "value_invalid"),
    ("subject", "咖" * 128, 422, "value_invalid"),
    ("subject", "a\nb", 422, "value_invalid"),
    ("subject", "a\n", 422, "value_invalid"),
    ("subject", "a\tb", 422, "value_invalid"),
    ("subject", "\x1b[31m", 422, "value_invalid"),
    ("subject", "a\x7f", 422, "value_invalid"),
    ("subject", "a\x85b", 422, "value_invalid"),
    ("subject", "a\u2028b", 422, "value_invalid"),
    ("subject", "\u202egnp.exe", 422, "value_invalid"),
    ("subject", "a" + NUL, 400, "encoding_invalid"),
    ("subject", "\ud800", 400, "encoding_invalid"),
    ("subject", 7, 400, "type_invalid"),
    ("subject", None, 400, "type_invalid"),
    ("method", "bitcoin", 422, "value_invalid"),
    ("method", "ALIPAY_QR", 422, "value_invalid"),
    ("method", "", 422, "value_invalid"),
    ("method", 1, 400, "type_invalid"),
    ("expires_in", 59, 422, "value_invalid"),
    ("expires_in", 604_801, 422, "value_invalid"),
    ("expires_in", -60, 422, "value_invalid"),
    ("expires_in", "60", 400, "type_invalid"),
    ("expires_in", 60.0, 400, "type_invalid"),
    ("expires_in", None, 400, "type_invalid"),
    ("payer_ip", "256.1.1.1", 422, "payer_ip_invalid"),
    ("payer_ip", "0x7f000001", 422, "payer_ip_invalid"),
    ("payer_ip", "127.1", 422, "payer_ip_invalid"),
    ("payer_ip", "01.2.3.4", 422, "payer_ip_invalid"),
    ("payer_ip", "１.2.3.4", 422, "payer_ip_invalid"),
    ("payer_ip", "1.2.3.4\n", 422, "payer_ip_invalid"),
    ("payer_ip", "1.2.3.4:80", 422, "payer_ip_invalid"),
    ("payer_ip", "fe80::1%eth0", 422, "payer_ip_invalid"),
    ("payer_ip", "::1/128", 422, "payer_ip_invalid"),
    ("payer_ip", "", 422, "payer_ip_invalid"),
    ("payer_ip", "localhost", 422, "payer_ip_invalid"),
    ("payer_ip", "1" * 46, 422, "value_invalid"),
    ("payer_ip", 16909060, 400, "type_invalid"),
    ("locale", "fr", 422, "value_invalid"),
    ("locale", "zh_CN", 422, "value_invalid"),
    ("locale", "", 422, "value_invalid"),
    ("locale", 1, 400, "type_invalid"),
    ("metadata", [], 400, "type_invalid"),
    ("metadata", None, 400, "type_invalid"),
    ("metadata", "a", 400, "type_invalid"),
    ("metadata", {"a": 1}, 400, "type_invalid"),
    ("metadata", {"a": None}, 400, "type_invalid"),
    ("metadata", {"a": {"b": "c"}}, 400, "type_invalid"),
    ("metadata", {f"k{n}": "" for n in range(21)}, 422, "value_invalid"),
    ("metadata", {"": "x"}, 422, "value_invalid"),
    ("metadata", {"k" * 41: "x"}, 422, "value_invalid"),
    ("metadata", {"a b": "x"}, 422, "value_invalid"),
    ("metadata", {"a\n": "x"}, 422, "value_invalid"),
    ("metadata", {"a": "x" * 501}, 422, "value_invalid"),
    ("metadata", {"a": NUL}, 400, "encoding_invalid"),
    ("metadata", {NUL: "a"}, 400, "encoding_invalid"),
    ("metadata", {"a": "\udfff"}, 400, "encoding_invalid"),
    ("status", "paid", 400, "field_unknown"),
    ("merchant_id", "mch_1", 400, "field_unknown"),
    ("mode", "live", 400, "field_unknown"),
    ("paid_amount", 1, 400, "field_unknown"),
    ("Amount", 1, 400, "field_unknown"),
    ("method", "x, got `int` - at `$.amount`", 422, "value_invalid"),
]
BAD_LINKS: list[tuple[Any, int, str]] = [
    (1, 400, "type_invalid"),
    ([LINK], 400, "type_invalid"),
    ("", 422, "value_invalid"),
    ("shop.example", 422, "value_invalid"),
    ("//shop.example/x", 422, "value_invalid"),
    ("javascript:alert(1)", 422, "value_invalid"),
    ("ftp://shop.example/x", 422, "value_invalid"),
    ("file:///etc/passwd", 422, "value_invalid"),
    ("https://", 422, "value_invalid"),
    ("https:///x", 422, "url_invalid"),
    ("https://:443/x", 422, "url_invalid"),
    ("https://shop.example:0/x", 422, "url_invalid"),
    ("https://shop.example:99999/x", 422, "url_invalid"),
    ("https://shop.example:port/x", 422, "url_invalid"),
    ("https://[::1/x", 422, "url_invalid"),
    ("https://user:secret@shop.example/x", 422, "url_invalid"),
    ("https://user@shop.example/x", 422, "url_invalid"),
    ("https://shop.example/a b", 422, "value_invalid"),
    ("https://shop.example/x\n", 422, "value_invalid"),
    ("https://shop.example/x\r\nSet-Cookie: a=b", 422, "value_invalid"),
    ("https://shop.example\\@evil.example", 422, "value_invalid"),
    ("https://店.example/x", 422, "value_invalid"),
    ("https://shop.example/" + "x" * 2048, 422, "value_invalid"),
    ("https://shop.example/" + NUL, 400, "encoding_invalid"),
]
FIELDS += [(name, *bad) for name in ("return_url", "notify_url") for bad in BAD_LINKS]
FIELDS += [("notify_url", "http://127.0.0.1/x", 422, "url_invalid")]

GOOD = json.dumps(order()).encode()
# bodies that are no good order as bytes
BODIES: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "body_malformed"),
    ("blank", b"  ", 400, "body_malformed"),
    ("half", GOOD[:-3], 400, "body_malformed"),
    ("two", GOOD + GOOD, 400, "body_malformed"),
    ("null", b"null", 400, "type_invalid"),
    ("list", b"[" + GOOD + b"]", 400, "type_invalid"),
    ("text", b'"amount"', 400, "type_invalid"),
    ("number", b"1", 400, "type_invalid"),
    ("key twice", GOOD[:-1] + b',"amount":1}', 400, "body_malformed"),
    ("key twice, escaped", GOOD[:-1] + b',"\\u0061mount":1}', 400, "body_malformed"),
    ("key twice, deep", GOOD[:-1] + b',"metadata":{"a":"1","a":"2"}}', 400, "body_malformed"),
    ("exponent", GOOD.replace(b"1990", b"1e2"), 400, "type_invalid"),
    ("fraction", GOOD.replace(b"1990", b"100.0"), 400, "type_invalid"),
    ("NaN", GOOD.replace(b"1990", b"NaN"), 400, "body_malformed"),
    ("Infinity", GOOD.replace(b"1990", b"Infinity"), 400, "body_malformed"),
    ("minus Infinity", GOOD.replace(b"1990", b"-Infinity"), 400, "body_malformed"),
    ("overflow to infinity", GOOD.replace(b"1990", b"1e999"), 400, "type_invalid"),
    ("leading zero", GOOD.replace(b"1990", b"01990"), 400, "body_malformed"),
    ("plus sign", GOOD.replace(b"1990", b"+1990"), 400, "body_malformed"),
    ("minus zero", GOOD.replace(b"1990", b"-0"), 422, "value_invalid"),
    ("hexadecimal", GOOD.replace(b"1990", b"0x10"), 400, "body_malformed"),
    ("five thousand digits", GOOD.replace(b"1990", b"9" * 5_000), 400, "body_malformed"),
    ("comment", b"/**/" + GOOD, 400, "body_malformed"),
    ("trailing comma", GOOD[:-1] + b",}", 400, "body_malformed"),
    ("single quotes", GOOD.replace(b'"', b"'"), 400, "body_malformed"),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD, 400, "body_malformed"),
    ("UTF-16", GOOD.decode().encode("utf-16"), 400, "encoding_invalid"),
    ("GBK", json.dumps(order(), ensure_ascii=False).replace(" ☕", "").encode("gbk"), 400, "encoding_invalid"),
    ("bad UTF-8", GOOD.replace(b"A-1", b"A\xff1"), 400, "encoding_invalid"),
    ("overlong UTF-8", GOOD.replace(b"A-1", b"A\xc0\x80"), 400, "encoding_invalid"),
    ("surrogate in UTF-8", GOOD.replace(b"A-1", b"\xed\xa0\x80"), 400, "encoding_invalid"),
    ("raw NUL", GOOD.replace(b"A-1", b"A\x001"), 400, "body_malformed"),
    ("escaped NUL", GOOD.replace(b"A-1", b"A\\u0000"), 400, "encoding_invalid"),
    ("half surrogate", GOOD.replace(b"A-1", b"\\ud83d"), 400, "encoding_invalid"),
    ("raw newline in a text", GOOD.replace(b"A-1", b"A\n1"), 400, "body_malformed"),
    ("33 deep", GOOD[:-1] + b',"metadata":' + b'{"a":' * 32 + b"1" + b"}" * 33, 400, "body_malformed"),
    ("60,000 deep", b"[" * 60_000, 400, "body_malformed"),
    ("30,000 deep and closed", b"[" * 30_000 + b"]" * 30_000, 400, "body_malformed"),
    ("60,000 objects deep", b'{"a":' * 12_000, 400, "body_malformed"),
    ("too large", GOOD[:-1] + b" " * 65_536 + b"}", 413, "body_too_large"),
    ("10 MB", b" " * 10_000_000, 413, "body_too_large"),
]


@pytest.mark.parametrize(("name", "value", "status", "code"), FIELDS)
async def test_an_order_with_one_wrong_field_is_refused(
    quiet_shop: Shop, name: str, value: Any, status: int, code: str
) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call("POST", ORDERS, order(**{name: value}))
    assert (answer.status_code, code_of(answer)) == (status, code)
    if code != "encoding_invalid":
        assert answer.json()["errors"][0]["pointer"] == f"/{name}"
    assert quiet_shop.stored() == before


@pytest.mark.parametrize(("content", "status", "code"), [pytest.param(*rest, id=name) for name, *rest in BODIES])
@pytest.mark.parametrize("path", [ORDERS, ENDPOINTS, "/v1/orders/ord_x/attempts"])
async def test_a_body_that_is_not_one_plain_json_object_is_refused(
    quiet_shop: Shop, path: str, content: bytes, status: int, code: str
) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call("POST", path, content=content)
    expected = {code} if path == ORDERS else {code, "field_unknown", "field_missing"}
    assert code_of(answer) in expected
    assert answer.status_code == status or path != ORDERS
    assert 400 <= answer.status_code < 500
    assert quiet_shop.stored() == before


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "text/json",
    "application/json-patch+json", "multipart/form-data; boundary=x", "application/json; charset=gbk",
    "application/msgpack"])  # fmt: skip
async def test_a_body_of_another_media_type_is_refused(quiet_shop: Shop, media_type: str) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call("POST", ORDERS, order(), headers={"Content-Type": media_type})
    assert (answer.status_code, code_of(answer)) == (415, "media_type_unsupported")
    assert quiet_shop.stored() == before


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
async def test_json_may_say_that_it_is_utf_8(shop: Shop, media_type: str) -> None:
    answer = await shop.call("POST", ORDERS, order(), headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(("url", "status", "code"), [(url, status, code) for url, status, code in BAD_LINKS]
    + [(None, 400, "type_invalid"), ("http://127.0.0.1/x", 422, "url_invalid")])  # fmt: skip
async def test_an_endpoint_with_a_bad_url_is_refused(quiet_shop: Shop, url: Any, status: int, code: str) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call("POST", ENDPOINTS, {"url": url})
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert quiet_shop.stored() == before


@pytest.mark.parametrize(("body", "status", "code"), [
    ({}, 400, "field_missing"),
    ({"url": LINK, "secret": "x"}, 400, "field_unknown"),
    ({"url": LINK, "event_types": "order.paid"}, 400, "type_invalid"),
    ({"url": LINK, "event_types": ["order.eaten"]}, 422, "value_invalid"),
    ({"url": LINK, "event_types": ["order.paid\n"]}, 422, "value_invalid"),
    ({"url": LINK, "event_types": [1]}, 400, "type_invalid"),
    ({"url": LINK, "event_types": ["order.paid"] * 21}, 422, "value_invalid"),
])  # fmt: skip
async def test_an_endpoint_with_a_wrong_field_is_refused(
    quiet_shop: Shop, body: dict[str, Any], status: int, code: str
) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call("POST", ENDPOINTS, body)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert quiet_shop.stored() == before


@pytest.mark.parametrize(("body", "status", "code"), [
    ({}, 400, "field_missing"),
    ({"method": None}, 400, "type_invalid"),
    ({"method": "cash"}, 422, "value_invalid"),
    ({"method": "alipay_qr\n"}, 422, "value_invalid"),
    ({"method": "alipay_qr", "amount": 1}, 400, "field_unknown"),
    ({"method": "alipay_qr"}, 404, "not_found"),
])  # fmt: skip
async def test_an_attempt_with_a_wrong_field_or_of_no_order_is_refused(
    quiet_shop: Shop, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await quiet_shop.call("POST", "/v1/orders/ord_x/attempts", body)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(("query", "status", "code"), [
    ("limit=0", 422, "parameter_invalid"),
    ("limit=101", 422, "parameter_invalid"),
    ("limit=-1", 422, "parameter_invalid"),
    ("limit=", 422, "parameter_invalid"),
    ("limit=ten", 422, "parameter_invalid"),
    ("limit=1e1", 422, "parameter_invalid"),
    ("limit=10.0", 422, "parameter_invalid"),
    ("limit=%2010", 422, "parameter_invalid"),
    ("limit=+10", 422, "parameter_invalid"),
    ("limit=1_0", 422, "parameter_invalid"),
    ("limit=%EF%BC%91", 422, "parameter_invalid"),
    ("limit=99999999999999999999", 422, "parameter_invalid"),
    ("limit=1&limit=2", 400, "parameter_repeated"),
    ("limit=1&limit=1", 400, "parameter_repeated"),
    ("cursor=x", 422, "cursor_invalid"),
    ("cursor=%F0%9F%92%B0", 422, "cursor_invalid"),
    ("cursor=" + "x" * 401, 422, "parameter_invalid"),
    ("cursor=%00", 400, "encoding_invalid"),
    ("cursor=%ff", 400, "encoding_invalid"),
    ("cursor=%ed%a0%80", 400, "encoding_invalid"),
    ("page=2", 400, "parameter_unknown"),
    ("caller=x", 400, "parameter_unknown"),
    ("api=x", 400, "parameter_unknown"),
    ("Limit=1", 400, "parameter_unknown"),
    ("limit[]=1", 400, "parameter_unknown"),
])  # fmt: skip
@pytest.mark.parametrize("path", [ORDERS, "/v1/events"])
async def test_a_bad_query_is_refused(quiet_shop: Shop, path: str, query: str, status: int, code: str) -> None:
    answer = await quiet_shop.call("GET", f"{path}?{query}")
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(("query", "status", "code"), [
    ("status=eaten", 422, "parameter_invalid"),
    ("status=null", 422, "parameter_invalid"),
    ("status=NULL", 422, "parameter_invalid"),
    ("status=PAID", 422, "parameter_invalid"),
    ("status=paid&status=closed", 400, "parameter_repeated"),
    ("merchant_order_no=", 422, "parameter_invalid"),
    ("merchant_order_no=a%0a", 422, "parameter_invalid"),
    ("merchant_order_no=a%20b", 422, "parameter_invalid"),
    ("merchant_order_no=" + "x" * 65, 422, "parameter_invalid"),
    ("merchant_order_no=A-1&status=paid", 422, "parameter_conflict"),
    ("merchant_order_no=A-1&cursor=x", 422, "parameter_conflict"),
])  # fmt: skip
async def test_a_bad_filter_of_orders_is_refused(quiet_shop: Shop, query: str, status: int, code: str) -> None:
    answer = await quiet_shop.call("GET", f"{ORDERS}?{query}")
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize("text", ["%00", "a%00b", "%ff", "%c0%80", "%ed%a0%80"])
@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/v1/orders/{}"),
    ("POST", "/v1/orders/{}/close"),
    ("POST", "/v1/orders/{}/attempts"),
    ("GET", "/v1/events/{}/deliveries"),
    ("GET", "/v1/webhook_endpoints/{}"),
    ("GET", "/v1/webhook_endpoints/{}/secret"),
    ("POST", "/v1/webhook_endpoints/{}/enable"),
    ("POST", "/notices/alipay/{}"),
    ("POST", "/notices/{}/cha_1"),
])  # fmt: skip
async def test_an_address_that_is_not_clean_utf_8_is_refused(
    quiet_shop: Shop, method: str, path: str, text: str
) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call(method, path.format(text))
    assert (answer.status_code, code_of(answer)) == (400, "encoding_invalid")
    assert quiet_shop.stored() == before


@pytest.mark.parametrize("text", ["ord_unknown", "a" * 5_000, "%E8%AE%A2%E5%8D%95", "..%2f..", "%0a", "'%20OR%201=1--"])
@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/v1/orders/{}"),
    ("POST", "/v1/orders/{}/close"),
    ("GET", "/v1/webhook_endpoints/{}"),
    ("GET", "/v1/webhook_endpoints/{}/secret"),
    ("POST", "/v1/webhook_endpoints/{}/enable"),
    ("POST", "/v1/webhook_endpoints/{}/disable"),
    ("POST", "/v1/webhook_endpoints/{}/rotate_secret"),
    ("POST", "/notices/alipay/{}"),
    ("POST", "/notices/{}/cha_1"),
])  # fmt: skip
async def test_an_id_of_nothing_is_not_found(quiet_shop: Shop, method: str, path: str, text: str) -> None:
    before = quiet_shop.stored()
    answer = await quiet_shop.call(method, path.format(text))
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert quiet_shop.stored() == before


@pytest.mark.parametrize("path", ["/v1/orders/ord_x/close", "/v1/webhook_endpoints/whe_x/enable",
    "/v1/webhook_endpoints/whe_x/disable", "/v1/webhook_endpoints/whe_x/rotate_secret"])  # fmt: skip
@pytest.mark.parametrize("content", [b'{"reason":"x"}', b"[]", b"null", b"\xff", b"[" * 60_000])
async def test_an_operation_without_a_body_takes_none(quiet_shop: Shop, path: str, content: bytes) -> None:
    answer = await quiet_shop.call("POST", path, content=content)
    assert (answer.status_code, code_of(answer)) == (400, "body_unexpected")


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("PUT", ORDERS, "GET"), ("DELETE", "/v1/orders/ord_x", "GET"), ("PATCH", ENDPOINTS, "POST"),
    ("POST", "/v1/events", "GET"), ("GET", "/notices/alipay/cha_1", "POST"), ("TRACE", ORDERS, "GET"),
    ("POST", "/livez", "GET"), ("FROB", ORDERS, "GET"),
])  # fmt: skip
async def test_a_method_that_a_route_does_not_take_is_a_problem_too(
    quiet_shop: Shop, method: str, path: str, allowed: str
) -> None:
    answer = await quiet_shop.call(method, path)
    assert (answer.status_code, code_of(answer)) == (405, "http_method_not_allowed")
    assert allowed in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v2/orders", "/v1/orders/a/b", "/.env", "/admin/v1"])
async def test_an_address_of_nothing_is_a_problem_too(quiet_shop: Shop, path: str) -> None:
    answer = await quiet_shop.call("GET", path)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("path", [ORDERS, ENDPOINTS, "/v1/orders/ord_x/close", "/notices/alipay/cha_1"])
async def test_a_chunked_upload_is_cut_off_while_it_is_read(shop: Shop, path: str) -> None:
    accounts = shop.stored()["channel_account"]
    if path.startswith("/notices"):
        path = f"/notices/alipay/{next(iter(accounts))}"
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000_000:
            sent += 16_384
            yield b" " * 16_384

    headers = {"Authorization": f"Bearer {shop.merchant.api_key}", "Content-Type": "application/json"}
    async with shop.client() as client:
        answer = await client.post(path, content=chunks(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    assert sent < 200_000


async def test_a_body_of_exactly_64_kib_is_read(shop: Shop) -> None:
    content = GOOD[:-1] + b" " * (65_536 - len(GOOD)) + b"}"
    assert len(content) == 65_536
    assert (await shop.call("POST", ORDERS, content=content)).status_code == 201


async def test_a_client_that_hangs_up_halfway_is_no_failure_of_ours(shop: Shop) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": ORDERS,
        "raw_path": ORDERS.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"authorization", f"Bearer {shop.merchant.api_key}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"5000"),
        ],
        "client": ("1.2.3.4", 5),
        "server": ("api.test", 80),
    }
    messages = iter([{"type": "http.request", "body": GOOD, "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    before = shop.stored()
    await shop.app(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert shop.stored() == before
