"""Refunds at WeChat Pay: accepted is not succeeded, unknown is not failed, and a number stays what it was."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from domain.channels import ChannelNotice, RefundReport, RefundState
from domain.errors import (
    AccountRefused,
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    NoticeRejected,
    OutcomeUnknown,
)
from domain.money import Money
from tests.unit.adapters.wechat.world import (
    NUMBER,
    PROVIDER,
    REFUND_NUMBER,
    SUB_MCHID,
    World,
    answer,
    refund_envelope,
    refund_request,
    refunded,
    refused,
    signed,
    unsigned,
)

CALLS = ("refund", "query_refund")
NOW = datetime(2026, 11, 23, 16, 25, 9, tzinfo=UTC)
Said = Callable[[], httpx.Response]  # made when a test runs: an answer is signed for its moment
NO = (404, "RESOURCE_NOT_EXISTS")


async def _call(world: World, call: str, said: Any, access: Any = None, **changes: Any) -> RefundReport:
    async with world.adapter(said if callable(said) else lambda _: said) as wechat:
        report: RefundReport = await getattr(wechat, call)(access or world.access(), refund_request(**changes))
    return report


def _refusal(code: str, message: str = "不行", status: int = 400) -> httpx.Response:
    return answer(status, {"code": code, "message": message})


async def test_a_request_says_both_amounts_the_fixed_number_and_where_to_tell_us(world: World) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, refunded())

    report = await _call(world, "refund", gateway)
    assert await _call(world, "refund", gateway) == report
    assert heard[0].url.path == "/v3/refund/domestic/refunds"
    assert heard[0].content == heard[1].content  # repeated, it is the same to the letter
    assert json.loads(heard[0].content) == {
        "out_trade_no": NUMBER,
        "out_refund_no": REFUND_NUMBER,
        "reason": "不想要了",
        "notify_url": "https://pay.example/notices/wechat/acc_1",
        "amount": {"refund": 888, "total": 8888, "currency": "CNY"},
    }
    assert report == RefundReport(
        number=REFUND_NUMBER,
        payment_number=NUMBER,
        state=RefundState.ACCEPTED,
        amount=Money(888),
        channel_id="50000000382026112300000000001",
        at=datetime(2026, 11, 23, 16, 20, 5, tzinfo=UTC),
        detail="PROCESSING",
    )


async def test_a_long_reason_is_cut_between_characters(world: World) -> None:
    heard: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content)["reason"])
        return answer(200, refunded())

    await _call(world, "refund", gateway, reason="果" * 80)
    assert heard == ["果" * 26]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("PROCESSING", RefundState.ACCEPTED),
        ("SUCCESS", RefundState.SUCCEEDED),
        ("CLOSED", RefundState.CLOSED),
        ("ABNORMAL", RefundState.ABNORMAL),
    ],
)
async def test_each_status_is_one_state(world: World, call: str, said: str, state: RefundState) -> None:
    report = await _call(world, call, answer(200, refunded(status=said, success_time="2026-11-24T00:25:05+08:00")))
    assert (report.state, report.detail) == (state, said)
    assert report.at == datetime(2026, 11, 23, 16, 25, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        (partial(_refusal, "NOT_ENOUGH", status=403), ChannelRejected, "channel_funds_short"),
        (partial(_refusal, "NOTENOUGH", status=403), ChannelRejected, "channel_funds_short"),
        (
            partial(_refusal, "INVALID_REQUEST", "基本账户余额不足，请充值后重新发起"),
            ChannelRejected,
            "channel_funds_short",
        ),
        (partial(_refusal, "USER_ACCOUNT_ABNORMAL", status=403), ChannelRejected, "USER_ACCOUNT_ABNORMAL"),
        (partial(_refusal, "NO_AUTH", status=403), AccountRefused, "NO_AUTH"),
        (partial(_refusal, "RESOURCE_NOT_EXISTS", status=404), ChannelRejected, "RESOURCE_NOT_EXISTS"),
        (partial(_refusal, "MCH_NOT_EXISTS", status=404), AccountRefused, "MCH_NOT_EXISTS"),
        (partial(_refusal, "PARAM_ERROR"), ChannelRejected, "PARAM_ERROR"),
        (partial(_refusal, "REQUEST_BLOCKED", status=403), ChannelRejected, "REQUEST_BLOCKED"),
        (partial(_refusal, "INVALID_REQUEST", "订单已全额退款"), ChannelRejected, "INVALID_REQUEST"),
        (
            partial(_refusal, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试"),
            ChannelRejected,
            "INVALID_REQUEST",
        ),
        (
            partial(_refusal, "INVALID_REQUEST", "频率限制，1个月之前的订单请降低申请频率再重试"),
            ChannelUnavailable,
            None,
        ),
        (partial(_refusal, "INVALID_REQUEST", "系统繁忙，请稍后重试"), ChannelUnavailable, None),
        (partial(_refusal, "FREQUENCY_LIMITED", status=429), ChannelUnavailable, None),
        (partial(_refusal, "FREQUENCY_LIMITED", status=403), ChannelUnavailable, None),
        (partial(_refusal, "SIGN_ERROR", status=401), ChannelUnavailable, None),
        (partial(_refusal, "SYSTEM_ERROR", status=500), OutcomeUnknown, None),
        (partial(_refusal, "SYSTEM_ERROR", status=400), OutcomeUnknown, None),
        (partial(_refusal, "BIZERR_NEED_RETRY"), OutcomeUnknown, None),
        (partial(_refusal, "", status=400), OutcomeUnknown, None),
        (partial(unsigned, 403, refused("NOT_ENOUGH")), OutcomeUnknown, None),
        (partial(unsigned, 400, refused("INVALID_REQUEST")), OutcomeUnknown, None),
        (partial(unsigned, 200, refunded()), OutcomeUnknown, None),
        (partial(answer, 200, b"<html>"), OutcomeUnknown, None),
        (partial(answer, 202, {}), OutcomeUnknown, None),
    ],
)
async def test_what_each_refusal_of_a_refund_means(
    world: World, said: Said, error: type[ChannelError], code: str | None
) -> None:
    with pytest.raises(error) as raised:
        await _call(world, "refund", said())
    assert type(raised.value) is error
    assert code is None or raised.value.code == code


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (httpx.ConnectError, ChannelUnavailable),
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.WriteError, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
    ],
)
async def test_a_refund_whose_answer_was_lost_did_not_fail(
    world: World, call: str, cause: type[httpx.RequestError], error: type[ChannelError]
) -> None:
    # The fault J2 of reference/channels.md: a transport error that became a failure was paid out twice.
    def fails(request: httpx.Request) -> None:
        raise cause("down", request=request)

    with pytest.raises(error) as raised:
        await _call(world, call, fails)
    assert type(raised.value) is error


async def test_a_number_that_wechat_pay_does_not_know_is_absent(world: World) -> None:
    report = await _call(world, "query_refund", _refusal(NO[1], status=NO[0]))
    assert (report.number, report.state) == (REFUND_NUMBER, RefundState.ABSENT)


@pytest.mark.parametrize(
    "said",
    [
        partial(unsigned, NO[0], refused(NO[1])),
        partial(answer, NO[0], refused(NO[1]), by="thief"),
        partial(_refusal, NO[1], status=500),
        partial(_refusal, "SYSTEM_ERROR", status=404),
    ],
)
async def test_an_absence_that_is_not_said_plainly_is_none(world: World, said: Said) -> None:
    with pytest.raises(OutcomeUnknown):
        await _call(world, "query_refund", said())


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"out_refund_no": "another1"}, "answer_mismatch"),
        ({"out_trade_no": "another1"}, "answer_mismatch"),
        ({"status": "DONE"}, "answer_invalid"),
        ({"status": None}, "answer_invalid"),
        ({"refund_id": None}, "answer_invalid"),
        ({"create_time": "soon"}, "answer_invalid"),
        ({"amount": None}, "answer_invalid"),
        ({"amount": {"refund": "888"}}, "amount_invalid"),
        ({"amount": {"refund": 888, "currency": "USD"}}, "currency"),
    ],
)
async def test_an_answer_that_does_not_fit_leaves_the_outcome_unknown(
    world: World, call: str, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await _call(world, call, answer(200, refunded(**changes)))
    assert doubt.value.code == code


@pytest.mark.parametrize("call", CALLS)
async def test_a_provider_refunds_for_its_sub_merchant(world: World, call: str) -> None:
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, refunded())

    await _call(world, call, gateway, world.sub_merchant())
    said = json.loads(heard[0].content) if call == "refund" else dict(heard[0].url.params)
    assert said["sub_mchid"] == SUB_MCHID


# ── Notices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _read(world: World, body: bytes, access: Any = None, **how: Any) -> ChannelNotice:
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        return await wechat.read(access or world.access(), signed(body, at=NOW, **how), body, now=NOW)


@pytest.mark.parametrize(
    ("event", "state"),
    [("SUCCESS", RefundState.SUCCEEDED), ("CLOSED", RefundState.CLOSED), ("ABNORMAL", RefundState.ABNORMAL)],
)
async def test_a_notice_says_what_became_of_a_refund(world: World, event: str, state: RefundState) -> None:
    notice = await _read(world, refund_envelope(event=event))
    assert (notice.kind, notice.report) == (f"REFUND.{event}", None)
    assert notice.refund is not None
    assert (notice.refund.number, notice.refund.payment_number, notice.refund.state) == (REFUND_NUMBER, NUMBER, state)
    assert notice.refund.amount == Money(888)
    assert notice.refund.at == (datetime(2026, 11, 23, 16, 25, 5, tzinfo=UTC) if event == "SUCCESS" else None)


async def test_a_refund_from_the_channels_console_has_no_number_of_ours(world: World) -> None:
    notice = await _read(world, refund_envelope(out_refund_no="50300806962026112300001"))
    assert notice.refund is not None
    assert (notice.refund.number, notice.refund.channel_id) == (None, "50000000382026112300000000001")


@pytest.mark.parametrize("changes", [{"mchid": "1900000002"}, {"mchid": None}])
async def test_a_refund_of_another_merchant_concerns_nobody_here(world: World, changes: dict[str, Any]) -> None:
    notice = await _read(world, refund_envelope(**changes))
    assert (notice.report, notice.refund) == (None, None)


@pytest.mark.parametrize(
    ("parties", "ours"),
    [
        ({"sp_mchid": PROVIDER, "sub_mchid": SUB_MCHID}, True),
        ({"sp_mchid": PROVIDER, "sub_mchid": "1900000110"}, False),
        ({"sp_mchid": "1900000010", "sub_mchid": SUB_MCHID}, False),
        ({"sub_mchid": SUB_MCHID}, False),
        ({"mchid": SUB_MCHID}, False),
    ],
)
async def test_a_providers_refund_is_ours_only_with_both_its_merchants(
    world: World, parties: dict[str, str], ours: bool
) -> None:
    told: dict[str, Any] = {"mchid": None, **parties}
    notice = await _read(world, refund_envelope(**told), world.sub_merchant())
    assert (notice.refund is not None) is ours


@pytest.mark.parametrize(
    "changes", [{"refund_status": "NEW"}, {"amount": None}, {"refund_id": 7}, {"out_trade_no": ""}]
)
async def test_a_refund_that_cannot_be_read_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(NoticeRejected):
        await _read(world, refund_envelope(**changes))


async def test_a_refund_notice_is_verified_like_any_other(world: World) -> None:
    body = refund_envelope()
    for how in ({"by": "thief"}, {"serial": "PUB_KEY_ID_1"}, {"signature": None}):
        with pytest.raises(NoticeRejected):
            await _read(world, body, **how)
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        with pytest.raises(NoticeRejected):
            await wechat.read(world.access(), signed(body, at=NOW), body, now=NOW + timedelta(minutes=6))


async def test_a_kind_and_a_content_that_do_not_fit_are_nothing(world: World) -> None:
    notice = await _read(world, refund_envelope(original="transaction"))
    assert (notice.report, notice.refund) == (None, None)
