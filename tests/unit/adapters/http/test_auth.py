"""Who may call: only a whole, valid, unexpired key in one Bearer header."""

from datetime import timedelta

import pytest

from domain.channels import Mode
from domain.merchants import ApiKey, key_digest, make_key
from tests.fakes.house import PEPPER
from tests.unit.adapters.http.shop import Shop, code_of, order

UNKNOWN = make_key(Mode.TEST, "x" * 37)


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x", "Bearer x", "Bearer null", "pty_sk_test_x",
    "Bearer " + "x" * 5_000, f"Bearer {UNKNOWN}", f"Bearer {UNKNOWN[:-1]}0", f"Bearer {UNKNOWN}, Bearer {UNKNOWN}",
    f"Digest {UNKNOWN}", f"Bearer pty_sk_live_{UNKNOWN[12:]}", "Bearer pty_sk_test_" + "é" * 43,
])  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/webhook_endpoints"])
async def test_anything_but_a_valid_key_is_refused(quiet_shop: Shop, header: str, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await quiet_shop.call(method, path, headers={"Authorization": header})
        assert (answer.status_code, code_of(answer)) == (401, "api_key_invalid")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert UNKNOWN[12:40] not in answer.text


async def test_no_key_is_refused_before_the_body_is_looked_at(quiet_shop: Shop) -> None:
    answer = await quiet_shop.call("POST", "/v1/orders", content=b"{{{", key=None)
    assert (answer.status_code, code_of(answer)) == (401, "api_key_missing")


async def test_two_authorization_headers_are_refused_though_one_is_right(quiet_shop: Shop) -> None:
    mine = ("Authorization", f"Bearer {quiet_shop.merchant.api_key}")
    for headers in ([mine, ("Authorization", "Bearer x")], [mine, mine]):
        answer = await quiet_shop.call("GET", "/v1/orders", headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "api_key_invalid")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_may_be_written_in_any_case(quiet_shop: Shop, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {quiet_shop.merchant.api_key}"}
    assert (await quiet_shop.call("GET", "/v1/orders", headers=headers)).status_code == 200


async def test_an_expired_and_a_revoked_key_are_refused_like_an_unknown_one(shop: Shop) -> None:
    now = shop.house.clock.now()
    texts = []
    for n, (expires_at, revoked_at) in enumerate([(now, None), (None, now - timedelta(days=1)), (None, None)]):
        text = make_key(Mode.TEST, f"{n}" * 37)
        key = ApiKey(
            id=f"key_{n}",
            merchant_id=shop.merchant.merchant.id,
            mode=Mode.TEST,
            digest=key_digest(text, PEPPER),
            last4=text[-4:],
            created_at=now,
            expires_at=expires_at,
            revoked_at=revoked_at,
        )
        async with shop.house.database.unit_of_work() as uow:
            await uow.keys.add(key)
        texts.append(text)
    answers = [await shop.call("GET", "/v1/orders", key=text) for text in texts]
    assert [answer.status_code for answer in answers] == [401, 401, 200]
    unknown = await shop.call("GET", "/v1/orders", key=UNKNOWN)
    assert {code_of(answer) for answer in (*answers[:2], unknown)} == {"api_key_invalid"}
    assert answers[0].json()["detail"] == unknown.json()["detail"]


async def test_the_key_decides_the_mode(shop: Shop) -> None:
    live = await shop.other(Mode.LIVE)
    answer = await shop.call("POST", "/v1/orders", order(), key=live.api_key)
    assert answer.json()["mode"] == "live"


@pytest.mark.parametrize("scheme", ["Basic ", "Token ", "Digest ", "", "Bearer=", "Bearer\t", "Bearer:"])
async def test_the_right_key_in_another_scheme_is_refused(quiet_shop: Shop, scheme: str) -> None:
    headers = {"Authorization": f"{scheme}{quiet_shop.merchant.api_key}"}
    answer = await quiet_shop.call("GET", "/v1/orders", headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "api_key_invalid")


async def test_asking_for_the_methods_of_an_address_needs_a_key_and_no_scope(quiet_shop: Shop) -> None:
    assert (await quiet_shop.call("OPTIONS", "/v1/orders", key=None)).status_code == 401
    told = await quiet_shop.call("OPTIONS", "/v1/orders")
    assert (told.status_code, told.content) == (204, b"")
