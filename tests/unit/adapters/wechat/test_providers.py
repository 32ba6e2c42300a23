"""A service provider (服务商) asks and is told about its sub-merchants, and about no others."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.channels import ChannelNotice, ChannelState
from domain.errors import InvalidRequest, NoticeRejected, OutcomeUnknown
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCHID,
    NUMBER,
    PROVIDER,
    SUB_MCHID,
    World,
    answer,
    authorized,
    envelope,
    paid,
    signed,
)

NOW = datetime(2026, 11, 23, 16, 10, 9, tzinfo=UTC)
PARTIES = {"appid": None, "mchid": None, "sp_appid": APP_ID, "sp_mchid": PROVIDER, "sub_mchid": SUB_MCHID}


async def _asked(world: World, call: str, said: Any) -> tuple[httpx.Request, Any]:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(*said)

    async with world.adapter(gateway) as wechat:
        result = await getattr(wechat, call)(world.sub_merchant(), NUMBER)
    (request,) = heard
    return request, result


async def _read(world: World, **changes: Any) -> ChannelNotice:
    body = envelope(paid(**(PARTIES | changes)))
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        return await wechat.read(world.sub_merchant(), signed(body, at=NOW), body, now=NOW)


async def test_the_provider_signs_and_names_both_merchants(world: World) -> None:
    request, report = await _asked(world, "query", (200, paid(**PARTIES)))
    assert request.url.path == f"/v3/pay/partner/transactions/out-trade-no/{NUMBER}"
    assert dict(request.url.params) == {"sp_mchid": PROVIDER, "sub_mchid": SUB_MCHID}
    assert authorized(request)["mchid"] == PROVIDER
    assert (report.receipt.app_id, report.receipt.payee) == (APP_ID, SUB_MCHID)
    request, _ = await _asked(world, "close", (204, b""))
    assert request.url.path == f"/v3/pay/partner/transactions/out-trade-no/{NUMBER}/close"
    assert json.loads(request.content) == {"sp_mchid": PROVIDER, "sub_mchid": SUB_MCHID}


@pytest.mark.parametrize("name", ["sp_appid", "sp_mchid", "sub_mchid"])
@pytest.mark.parametrize("value", ["1900000777", None])
async def test_an_answer_about_other_parties_is_not_believed(world: World, name: str, value: str | None) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _asked(world, "query", (200, paid(**(PARTIES | {name: value}))))
    assert doubt.value.code == "answer_mismatch"


async def test_a_direct_merchants_answer_is_none_to_a_provider(world: World) -> None:
    with pytest.raises(OutcomeUnknown):
        await _asked(world, "query", (200, paid(mchid=SUB_MCHID)))


async def test_a_notice_of_our_sub_merchant_is_a_receipt_for_it(world: World) -> None:
    notice = await _read(world)
    assert notice.report is not None
    assert notice.report.receipt is not None
    assert (notice.report.receipt.app_id, notice.report.receipt.payee) == (APP_ID, SUB_MCHID)


@pytest.mark.parametrize("name", ["sp_appid", "sp_mchid", "sub_mchid"])
async def test_a_notice_about_other_parties_says_so_in_its_receipt(world: World, name: str) -> None:
    notice = await _read(world, **{name: "1900000777"})
    assert notice.report is not None
    assert notice.report.receipt is not None
    # The use case compares these two with ours, and books nothing.
    assert (notice.report.receipt.app_id, notice.report.receipt.payee) != (APP_ID, SUB_MCHID)


@pytest.mark.parametrize("name", ["sp_appid", "sp_mchid", "sub_mchid"])
async def test_that_a_strangers_order_is_closed_says_nothing_of_ours(world: World, name: str) -> None:
    closed = {"trade_state": "CLOSED", "success_time": None, "transaction_id": None}
    assert (await _read(world, **closed)).report is not None
    assert (await _read(world, **closed, **{name: "1900000777"})).report is None


@pytest.mark.parametrize("name", ["sp_appid", "sp_mchid", "sub_mchid"])
async def test_a_payment_that_does_not_name_its_parties_is_refused(world: World, name: str) -> None:
    with pytest.raises(NoticeRejected):
        await _read(world, **{name: None})


async def test_a_providers_keys_are_loaded_once_for_all_its_sub_merchants(world: World) -> None:
    credential = world.credential(provider=PROVIDER)
    async with world.adapter(
        lambda request: answer(200, paid(**(PARTIES | {"sub_mchid": request.url.params["sub_mchid"]})))
    ) as wechat:
        for payee in ("1900000101", "1900000102", "1900000103"):
            report = await wechat.query(world.access(credential, payee), NUMBER)
            assert report.state is ChannelState.PAID
        assert len(wechat._keys._loaded) == 1


async def test_check_wants_both_merchants_in_order(world: World) -> None:
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        wechat.check(world.credential(provider=PROVIDER), SUB_MCHID)
        for provider, payee in ((PROVIDER, "19 00"), ("1900/../x", SUB_MCHID)):
            with pytest.raises(InvalidRequest) as refusal:
                wechat.check(world.credential(provider=provider), payee)
            assert refusal.value.code == "payee_invalid"
        wechat.check(world.credential(), MCHID)
