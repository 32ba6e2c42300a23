"""Notices as the sandbox writes them, read by the adapters: the honest ones and all the others."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.channels import Channel, ChannelNotice, ChannelState
from domain.errors import NoticeRejected
from domain.money import Money
from tests.integration.channels.conftest import Side


async def _paid(side: Side) -> Any:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.pay(opening, received=8000, payer_paid=7550)
    return opening


async def _read(side: Side, headers: Mapping[str, str], body: bytes, **shift: float) -> ChannelNotice:
    return await side.adapter.read(side.access, headers, body, now=datetime.now(UTC) + timedelta(**shift))


async def test_an_honest_notice_says_what_the_query_says(side: Side) -> None:
    opening = await _paid(side)
    notice = await _read(side, *side.notice(opening.number))
    assert notice.report is not None
    assert notice.report.state is ChannelState.PAID
    asked = await side.adapter.query(side.access, opening.number)
    assert notice.report.receipt == asked.receipt
    assert asked.receipt is not None
    assert asked.receipt.received == Money(8000)


async def test_a_replay_has_the_same_id(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.sandbox.post("pay", channel=side.channel, out_trade_no=opening.number)  # owes a notice, which keeps its id
    first, second = [await _read(side, *side.notice(opening.number)) for _ in range(2)]
    assert first == second


async def test_headers_may_come_in_lower_case(side: Side) -> None:
    headers, body = side.notice((await _paid(side)).number)
    notice = await _read(side, {name.lower(): value for name, value in headers.items()}, body)
    assert notice.report is not None


@pytest.mark.parametrize("sign", ["bad", "none", "probe"])
async def test_a_notice_that_is_not_rightly_signed_is_refused(side: Side, sign: str) -> None:
    headers, body = side.notice((await _paid(side)).number, sign=sign)
    with pytest.raises(NoticeRejected) as refusal:
        await _read(side, headers, body)
    if (side.channel, sign) == (Channel.WECHAT, "probe"):
        assert refusal.value.code == "signature_probe"


async def test_a_notice_about_another_apps_money_says_so(side: Side) -> None:
    opening = await _paid(side)
    notice = await _read(side, *side.notice(opening.number, sign="other_app"))
    assert notice.report is not None
    assert notice.report.receipt is not None
    ours = (side.access.credential.app_id, side.access.account.payee)
    assert (notice.report.receipt.app_id, notice.report.receipt.payee) != ours


async def test_a_notice_over_another_amount_reports_that_amount(side: Side) -> None:
    wrong: dict[str, Any] = {"total_amount": "88.89"}
    if side.channel is Channel.WECHAT:
        wrong = {"amount.total": 8889}
    notice = await _read(side, *side.notice((await _paid(side)).number, overrides=wrong))
    assert notice.report is not None
    assert notice.report.receipt is not None
    assert notice.report.receipt.total == Money(8889)


@pytest.mark.parametrize("offset", [-600, 600])
async def test_an_old_or_early_notice_of_wechat_pay_is_refused(side: Side, offset: int) -> None:
    headers, body = side.notice((await _paid(side)).number, timestamp_offset=offset)
    if side.channel is Channel.ALIPAY:
        # Alipay repeats a notice for 25 hours and sets no window; its id makes a replay harmless.
        assert (await _read(side, headers, body)).report is not None
        return
    with pytest.raises(NoticeRejected) as refusal:
        await _read(side, headers, body)
    assert refusal.value.code == "timestamp_stale"


@pytest.mark.parametrize("serial", ["certificate", "PUB_KEY_ID_1", "not hexadecimal", "5157F09E"])
async def test_only_the_serials_we_hold_count(side: Side, serial: str) -> None:
    if side.channel is Channel.ALIPAY:
        serial = "certificate"  # it has none: the notice is as honest as ever
    headers, body = side.notice((await _paid(side)).number, serial=serial)
    if serial == "certificate":
        assert (await _read(side, headers, body)).report is not None
        return
    with pytest.raises(NoticeRejected) as refusal:
        await _read(side, headers, body)
    assert refusal.value.code == "serial_unknown"


async def test_a_notice_of_one_merchant_is_nothing_at_anothers_address(side: Side) -> None:
    headers, body = side.notice((await _paid(side)).number)
    if side.channel is Channel.ALIPAY:
        access = replace(side.access, credential=replace(side.access.credential, app_id="2021000000000002", version=9))
        notice = await side.adapter.read(access, headers, body, now=datetime.now(UTC))
        assert notice.report is not None
        assert notice.report.receipt is not None
        assert notice.report.receipt.app_id != access.credential.app_id
        return
    access = replace(side.access, account=replace(side.access.account, payee="1900000002"))
    notice = await side.adapter.read(access, headers, body, now=datetime.now(UTC))
    assert notice.report is not None
    assert notice.report.receipt is not None
    assert notice.report.receipt.payee != access.account.payee
