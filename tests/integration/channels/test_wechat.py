"""Our WeChat Pay adapter and the sandbox's WeChat Pay, which know each other by the wire alone."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.outbound.wechat import WechatPay
from adapters.outbound.wechat.certificates import PlatformCertificates
from domain.channels import (
    Access,
    ActionType,
    ChannelState,
    Method,
    Opening,
    PayerAction,
    RefundReport,
    RefundRequest,
    RefundState,
)
from domain.errors import ChannelRejected, ChannelUnavailable, NoticeRejected, OutcomeUnknown
from domain.money import Money
from domain.redirections import Card, Destination
from tests.integration.channels.conftest import NOWHERE, SUB_APP_ID, SUB_MCHID, Side, sealed_for

PAYER = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
MODES = ("merchant", "provider", "provider with the sub-merchant's app")


@pytest.fixture
def side(wechat_side: Side) -> Side:
    return wechat_side


@pytest.fixture
def wechat(side: Side) -> WechatPay:
    assert isinstance(side.adapter, WechatPay)
    return side.adapter


@pytest.fixture(params=MODES)
def access(request: pytest.FixtureRequest, side: Side) -> Access:
    """The three ways to be somebody at WeChat Pay, with one set of keys."""
    if request.param == "merchant":
        return side.access
    credential = replace(side.access.credential, provider=side.access.account.payee)
    account = replace(side.access.account, payee=SUB_MCHID)
    if request.param != "provider":
        account = replace(account, sub_app_id=SUB_APP_ID, sealed=sealed_for(account.id, app_secret="f" * 32))
    return Access(account, credential)


def _refund(side: Side, opening: Opening, amount: int = 888, **changes: Any) -> RefundRequest:
    asked: dict[str, Any] = {
        "number": side.opening().number,
        "payment_number": opening.number,
        "amount": Money(amount),
        "total": opening.amount,
        "reason": "不想要了",
        "notice_url": NOWHERE,
    }
    return RefundRequest(**(asked | changes))


async def _ended(wechat: WechatPay, access: Access, request: RefundRequest) -> RefundReport:
    """What a refund that was accepted came to."""
    async with asyncio.timeout(10):
        while (report := await wechat.query_refund(access, request)).state is RefundState.ACCEPTED:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return report


def _call_wallet(side: Side, action: PayerAction) -> str:
    assert action.type is ActionType.SDK
    answer = side.sandbox.post("wechat/invoke", fields=dict(action.fields))
    return str(answer["err_msg"]).partition(":")[2]


# ── Every way to pay, in every mode ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "method",
    [Method.WECHAT_NATIVE, Method.WECHAT_JSAPI, Method.WECHAT_MINIPROGRAM, Method.WECHAT_APP, Method.WECHAT_H5],
)
async def test_a_payment_is_opened_paid_told_and_queried(
    side: Side, wechat: WechatPay, access: Access, method: Method
) -> None:
    opening = side.opening(method=method, payer_id=PAYER, payer_ip="127.0.0.1", return_url="https://shop.example/x?a=1")
    opening = replace(opening, payer_id=PAYER if method.needs_payer else None)
    action = await wechat.open(access, opening)
    assert (await wechat.query(access, opening.number)).state is ChannelState.PENDING
    if method is Method.WECHAT_NATIVE:
        assert side.sandbox.post("pay", code=action.value)["state"] == "paid"
    elif method is Method.WECHAT_H5:
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
            page = await browser.get(action.value)
            assert 'data-state="payable"' in page.text
            code = parse_qs(urlsplit(action.value).query)["prepay_id"][0]
            form = {"code": code, "action": "pay", "return": opening.return_url or ""}
            assert (
                'href="https://shop.example/x?a=1"'
                in (await browser.post(f"{side.sandbox.base}/phone", data=form)).text
            )
    else:
        assert _call_wallet(side, action) == "ok"
    report = await wechat.query(access, opening.number)
    assert report.receipt is not None
    assert (report.receipt.total, report.receipt.payee) == (opening.amount, access.account.payee)
    notice = await wechat.read(access, *side.notice(opening.number), now=datetime.now(UTC))
    assert notice.report == report
    with pytest.raises(ChannelRejected) as refusal:
        await wechat.close(access, opening.number)
    assert refusal.value.code == "trade_paid"


async def test_a_call_that_somebody_changed_is_not_taken_by_the_wallet(side: Side, wechat: WechatPay) -> None:
    for method, name in ((Method.WECHAT_JSAPI, "nonceStr"), (Method.WECHAT_APP, "noncestr")):
        action = await wechat.open(side.access, side.opening(method=method, payer_id=PAYER))
        changed = replace(action, fields={**action.fields, name: "another"})
        assert _call_wallet(side, changed) == "fail"
        assert _call_wallet(side, action) == "ok"


async def test_a_bar_code_is_charged_waited_for_reversed_and_never_left_hanging(
    side: Side, wechat: WechatPay, access: Access
) -> None:
    for wallet, state in (("pays", ChannelState.PAID), ("asks", ChannelState.PENDING)):
        code = side.sandbox.post("codes", channel="wechat", wallet=wallet)["code"]
        opening = side.opening(method=Method.WECHAT_BARCODE, auth_code=code)
        assert (await wechat.charge(access, opening)).state is state
        assert (await wechat.query(access, opening.number)).state is state
        await wechat.reverse(access, opening.number)
        assert (await wechat.query(access, opening.number)).state is ChannelState.CLOSED
        await wechat.reverse(access, opening.number)


async def test_a_payer_who_refuses_a_bar_code_has_failed_to_pay(side: Side, wechat: WechatPay) -> None:
    code = side.sandbox.post("codes", channel="wechat", wallet="asks")["code"]
    opening = side.opening(method=Method.WECHAT_BARCODE, auth_code=code)
    await wechat.charge(side.access, opening)
    side.sandbox.post("refuse", channel="wechat", out_trade_no=opening.number)
    assert (await wechat.query(side.access, opening.number)).state is ChannelState.FAILED


@pytest.mark.parametrize(("fault", "state"), [("system_error", ChannelState.PAID), ("lost", ChannelState.ABSENT)])
async def test_a_charge_that_ended_in_an_error_is_cleared_up_by_its_number(
    side: Side, wechat: WechatPay, fault: str, state: ChannelState
) -> None:
    code = side.sandbox.post("codes", channel="wechat")["code"]
    opening = side.opening(method=Method.WECHAT_BARCODE, auth_code=code)
    side.fault("codepay", fault)
    with pytest.raises(OutcomeUnknown):
        await wechat.charge(side.access, opening)
    assert (await wechat.query(side.access, opening.number)).state is state
    # The same charge once more: paid once, whichever it was.
    assert (await wechat.charge(side.access, opening)).state is ChannelState.PAID
    assert len(side.trade(opening)["transactions"]) == 1


async def test_a_bar_code_that_paid_something_else_is_refused(side: Side, wechat: WechatPay) -> None:
    code = side.sandbox.post("codes", channel="wechat")["code"]
    await wechat.charge(side.access, side.opening(method=Method.WECHAT_BARCODE, auth_code=code))
    for bad in (code, "130061098828009406", "99"):
        with pytest.raises(ChannelRejected):
            await wechat.charge(side.access, side.opening(method=Method.WECHAT_BARCODE, auth_code=bad))


async def test_a_provider_sees_nothing_of_another_sub_merchant(side: Side, wechat: WechatPay, access: Access) -> None:
    opening = side.opening()
    await wechat.open(access, opening)
    if access.credential.provider is None:
        return
    stranger = Access(replace(access.account, payee="1900000998"), access.credential)
    assert (await wechat.query(stranger, opening.number)).state is ChannelState.ABSENT


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refund_is_accepted_then_done_and_told(side: Side, wechat: WechatPay, access: Access) -> None:
    opening = side.opening()
    await wechat.open(access, opening)
    side.pay(opening)
    request = _refund(side, opening)
    assert (await wechat.query_refund(access, request)).state is RefundState.ABSENT
    accepted = await wechat.refund(access, request)
    assert (accepted.state, accepted.amount) == (RefundState.ACCEPTED, Money(888))
    assert await wechat.refund(access, request) == accepted  # the number decides
    done = await _ended(wechat, access, request)
    assert (done.state, done.channel_id) == (RefundState.SUCCEEDED, accepted.channel_id)
    told = await _told(side, opening)
    notice = await wechat.read(access, told["headers"], told["body"].encode(), now=datetime.now(UTC))
    assert (notice.kind, notice.report) == ("REFUND.SUCCESS", None)
    assert notice.refund is not None
    assert replace(notice.refund, detail="") == replace(done, detail="")
    # The order was paid and still is: that some of it went back does not make it unpaid.
    assert (await wechat.query(access, opening.number)).state is ChannelState.PAID


async def _told(side: Side, opening: Opening) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not (sent := side.sandbox.get("notices", out_trade_no=opening.number)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    told: dict[str, Any] = sent[-1]
    return told


@pytest.mark.parametrize(
    ("fault", "state"), [("refund_abnormal", RefundState.ABNORMAL), ("refund_closed", RefundState.CLOSED)]
)
async def test_a_refund_may_end_badly_after_it_was_accepted(
    side: Side, wechat: WechatPay, fault: str, state: RefundState
) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    side.fault("refund", fault)
    request = _refund(side, opening)
    assert (await wechat.refund(side.access, request)).state is RefundState.ACCEPTED
    assert (await _ended(wechat, side.access, request)).state is state


@pytest.mark.parametrize("card", [Card("ICBC_DEBIT", "6222021234567890128", "王小明"), None])
@pytest.mark.parametrize("signed_by", ["public_key", "certificate"])
async def test_an_abnormal_refund_goes_elsewhere_with_its_card_encrypted_to_wechat_pays_key(
    side: Side, wechat: WechatPay, signed_by: str, card: Card | None
) -> None:
    access = side.access if signed_by == "public_key" else _by_certificate(side)
    side.sandbox.post("settings", wechat_signer=signed_by)
    opening = side.opening()
    await wechat.open(access, opening)
    side.pay(opening)
    side.fault("refund", "refund_abnormal")
    request = _refund(side, opening)
    await wechat.refund(access, request)
    abnormal = await _ended(wechat, access, request)
    assert abnormal.channel_id is not None
    to = Destination.MERCHANT_ACCOUNT if card is None else Destination.PAYER_CARD
    taken = await wechat.redirect(access, request, abnormal.channel_id, to, card)
    assert (taken.number, taken.state) == (request.number, RefundState.ACCEPTED)
    with pytest.raises(ChannelRejected):
        await wechat.redirect(access, request, abnormal.channel_id, to, card)  # it is on its way
    assert (await _ended(wechat, access, request)).state is RefundState.SUCCEEDED


async def test_a_card_that_wechat_pay_cannot_pay_to_is_refused_for_good(side: Side, wechat: WechatPay) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    side.fault("refund", "refund_abnormal")
    request = _refund(side, opening)
    await wechat.refund(side.access, request)
    abnormal = await _ended(wechat, side.access, request)
    card = Card("ICBC_DEBIT", "6222021234567890128", "王小明")
    object.__setattr__(card, "bank", "NOBANK_DEBIT")
    with pytest.raises(ChannelRejected) as caught:
        await wechat.redirect(side.access, request, str(abnormal.channel_id), Destination.PAYER_CARD, card)
    assert caught.value.code == "PARAM_ERROR"


@pytest.mark.parametrize(
    ("fault", "code"), [("funds_short", "channel_funds_short"), ("account_abnormal", "USER_ACCOUNT_ABNORMAL")]
)
async def test_a_refund_that_is_refused_may_be_asked_for_again(
    side: Side, wechat: WechatPay, fault: str, code: str
) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    side.fault("refund", fault)
    request = _refund(side, opening)
    with pytest.raises(ChannelRejected) as refusal:
        await wechat.refund(side.access, request)
    assert refusal.value.code == code
    assert (await wechat.query_refund(side.access, request)).state is RefundState.ABSENT
    assert (await wechat.refund(side.access, request)).state is RefundState.ACCEPTED


@pytest.mark.parametrize("fault", ["torn", "reset", "unsigned", "bad_signature", "error_500", "system_error", "lost"])
async def test_a_refund_whose_outcome_is_unknown_is_made_once_under_its_number(
    side: Side, wechat: WechatPay, fault: str
) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    request = _refund(side, opening)
    side.fault("refund", fault)
    with pytest.raises(OutcomeUnknown):
        await wechat.refund(side.access, request)
    assert (await wechat.refund(side.access, request)).state in (RefundState.ACCEPTED, RefundState.SUCCEEDED)
    assert len(side.trade(opening)["refunds"]) == 1


async def test_two_refunds_within_a_minute_have_to_wait_and_are_not_refused(side: Side, wechat: WechatPay) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    await wechat.refund(side.access, _refund(side, opening))
    second = _refund(side, opening)
    with pytest.raises(ChannelUnavailable):
        await wechat.refund(side.access, second)
    side.sandbox.post("settings", wechat_refund_gap=0)
    assert (await wechat.refund(side.access, second)).state is RefundState.ACCEPTED


async def test_more_than_was_paid_or_what_was_never_paid_is_refused(side: Side, wechat: WechatPay) -> None:
    paid, unpaid = side.opening(), side.opening()
    for opening in (paid, unpaid):
        await wechat.open(side.access, opening)
    side.pay(paid)
    for request in (_refund(side, paid, 8889), _refund(side, paid, total=Money(8889)), _refund(side, unpaid)):
        with pytest.raises(ChannelRejected):
            await wechat.refund(side.access, request)


async def test_a_refund_from_the_console_is_told_without_a_number_of_ours(side: Side, wechat: WechatPay) -> None:
    opening = side.opening()
    await wechat.open(side.access, opening)
    side.pay(opening)
    made = side.sandbox.post("wechat/refunds", out_trade_no=opening.number, amount=500)
    told = await _told(side, opening)
    notice = await wechat.read(side.access, told["headers"], told["body"].encode(), now=datetime.now(UTC))
    assert notice.refund is not None
    assert (notice.refund.number, notice.refund.payment_number) == (None, opening.number)
    assert (notice.refund.amount, notice.refund.channel_id) == (Money(500), made["refund_id"])


# ── Signature modes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _by_certificate(side: Side, **public: str) -> Access:
    kept = {name: value for name, value in side.access.credential.public.items() if name == "mch_serial"}
    credential = replace(
        side.access.credential, public={**kept, "platform_certificates": "download", **public}, version=50 + len(public)
    )
    return Access(side.access.account, credential)


async def test_a_merchant_that_verifies_by_certificates_follows_their_change(side: Side, wechat: WechatPay) -> None:
    access = _by_certificate(side)
    wechat._certificates = PlatformCertificates(refresh_seconds=0)
    side.sandbox.post("settings", wechat_signer="certificate")
    opening = side.opening()
    await wechat.open(access, opening)
    side.pay(opening)
    for step in ("issue", "switch", "retire"):
        # It is issued and fetched before it signs, so no answer and no notice is lost on the way.
        side.sandbox.post(f"wechat/certificates/{step}")
        assert (await wechat.query(access, opening.number)).state is ChannelState.PAID
        notice = await wechat.read(access, *side.notice(opening.number), now=datetime.now(UTC))
        assert notice.report is not None
    forged = side.notice(opening.number, serial="1234ABCD")
    with pytest.raises(NoticeRejected):
        await wechat.read(access, *forged, now=datetime.now(UTC))


async def test_both_of_wechat_pays_keys_are_believed_with_certificates_that_are_fetched(
    side: Side, wechat: WechatPay
) -> None:
    both = {name: side.access.credential.public[name] for name in ("public_key", "public_key_id")}
    access = _by_certificate(side, **both)
    side.sandbox.post("settings", wechat_signer="both")
    opening = side.opening()
    await wechat.open(access, opening)
    side.pay(opening)
    for serial in ("public_key", "certificate"):
        notice = await wechat.read(access, *side.notice(opening.number, serial=serial), now=datetime.now(UTC))
        assert notice.report is not None
    for _ in range(6):
        assert (await wechat.query(access, opening.number)).state is ChannelState.PAID


# ── Who pays ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_payer_is_found_by_the_page_and_pays_there(side: Side, wechat: WechatPay) -> None:
    url = wechat.authorize_url(side.access, "https://pay.example/c/abc?x=1", "s1")
    async with httpx.AsyncClient(trust_env=False) as browser:
        back = (await browser.get(url.partition("#")[0])).headers["location"]
    given = parse_qs(urlsplit(back).query)
    assert (given["x"], given["state"]) == (["1"], ["s1"])
    openid = await wechat.payer_id(side.access, given["code"][0])
    with pytest.raises(ChannelRejected):
        await wechat.payer_id(side.access, given["code"][0])
    action = await wechat.open(side.access, side.opening(method=Method.WECHAT_JSAPI, payer_id=openid))
    assert _call_wallet(side, action) == "ok"


async def test_a_mini_programs_code_is_another_than_a_pages(side: Side, wechat: WechatPay) -> None:
    code = side.sandbox.post("wechat/login_codes", appid=side.access.credential.app_id)["code"]
    with pytest.raises(ChannelRejected):
        await wechat.payer_id(side.access, code)
    assert len(await wechat.payer_id(side.access, code, Method.WECHAT_MINIPROGRAM)) == 28


@pytest.mark.parametrize("fault", ["rate_limited", "system_error"])
async def test_a_host_that_is_busy_leaves_the_code_for_another_try(side: Side, wechat: WechatPay, fault: str) -> None:
    code = side.sandbox.post("wechat/login_codes", appid=side.access.credential.app_id)["code"]
    side.fault("login", fault)
    with pytest.raises(ChannelUnavailable):
        await wechat.payer_id(side.access, code, Method.WECHAT_MINIPROGRAM)
