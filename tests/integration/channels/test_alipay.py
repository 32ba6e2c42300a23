"""What only Alipay has, through our adapter and the sandbox: pages, order strings, refund notices, certificates,
service providers, and its ways to let a refund or a reversal hang."""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from adapters.outbound.alipay import Alipay
from application.ports.world import credential_context
from domain.channels import Access, ActionType, Channel, ChannelState, Credential, Method, Mode, Opening, RefundState
from domain.channels import RefundRequest as Request
from domain.errors import BillInvalid, ChannelRejected, ChannelUnavailable, NoticeRejected, OutcomeUnknown
from domain.money import Money
from domain.numbers import is_ours
from domain.statements import Movement, StatementKind
from domain.times import shanghai_day
from tests.integration.channels.conftest import _VAULT, PATIENT, Sandbox, Side, sealed_for
from tests.integration.channels.conftest import _access as access_of
from tests.unit.sandbox.box import new_key

BACK = "https://shop.example/back?order=1"
APPS = {"keys": "2021000000000031", "certificates": "2021000000000032"}
SELLER, MERCHANT_APP, MERCHANT_SELLER = "2088000000000031", "2021000000000999", "2088000000000999"


@dataclass(frozen=True)
class Box(Side):
    """An Alipay side whose adapter has all of Alipay's capabilities."""

    adapter: Alipay

    async def get(self, client: httpx.AsyncClient, path: str) -> httpx.Response:
        return await client.get(f"{self.sandbox.base}{path}")

    async def paid(self) -> Opening:
        opening = self.opening()
        await self.adapter.open(self.access, opening)
        self.pay(opening)
        return opening

    def request(self, opening: Opening, fen: int | None = None) -> Request:
        amount = opening.amount if fen is None else Money(fen)
        return Request(
            number=self.opening().number,
            payment_number=opening.number,
            amount=amount,
            total=opening.amount,
            reason="",
            notice_url=opening.notice_url,
        )

    async def notices(self, opening: Opening) -> list[Any]:
        """Every notice that the sandbox sent (to nobody), as our adapter reads it."""
        sent = self.sandbox.get("notices", out_trade_no=opening.number)
        now = datetime.now(UTC)
        return [await self.adapter.read(self.access, one["headers"], one["body"].encode(), now=now) for one in sent]

    async def refund_notices(self, opening: Opening, count: int) -> list[Any]:
        for _ in range(200):
            refunds = [notice.refund for notice in await self.notices(opening) if notice.refund]
            if len(refunds) >= count:
                return refunds
            await _moment()
        raise AssertionError("no notice")


async def _moment() -> None:
    await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    return new_key()


@pytest.fixture(params=["keys", "certificates"])
def box(
    request: pytest.FixtureRequest, sandbox: Sandbox, client: httpx.AsyncClient, keys: tuple[str, str]
) -> Iterator[Box]:
    """An application of each signature mode."""
    mode = request.param
    told = sandbox.post(
        "alipay/apps",
        app_id=APPS[mode],
        seller_id=SELLER,
        public_key=keys[1],
        certificates=mode == "certificates",
        payer_as="open_id" if mode == "certificates" else "user_id",
    )
    names = ("app_certificate", "alipay_certificate", "alipay_root_certificate")
    public = {name: told[name] for name in names} if mode == "certificates" else {}
    public = public or {"alipay_public_key": told["alipay_public_key"]}
    adapter = Alipay(_VAULT, client, {Mode.TEST: f"{sandbox.base}/gateway.do"}, deadline_seconds=PATIENT)
    yield Box(Channel.ALIPAY, adapter, _access(APPS[mode], public, keys[0]), sandbox)
    sandbox.clear_faults()
    sandbox.post("settings", alipay_certificate="current", alipay_bills="clock", alipay_fee_ppm=3800)


def _access(app_id: str, public: dict[str, str], private: str) -> Access:
    made = access_of(Channel.ALIPAY, app_id, SELLER, public=public, sealed={"app_private_key": private})
    id_ = f"crd_{app_id}"
    sealed = _VAULT.seal(credential_context(id_), json.dumps({"app_private_key": private}).encode())
    credential: Credential = replace(made.credential, id=id_, sealed=sealed)
    return Access(replace(made.account, id=f"cha_{app_id}", credential_id=id_), credential)


# ── Every way to pay ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", [Method.ALIPAY_PAGE, Method.ALIPAY_WAP])
async def test_a_browser_posts_the_form_logs_in_pays_and_comes_back(
    box: Box, client: httpx.AsyncClient, method: Method
) -> None:
    opening = box.opening(method=method, return_url=BACK, instalments=3, subject="龙" * 200)
    action = await box.adapter.open(box.access, opening)
    assert action.type is ActionType.FORM
    answer = await client.post(action.value, data=dict(action.fields))
    assert answer.status_code == 303
    cashier = await box.get(client, answer.headers["Location"])
    assert 'data-state="login"' in cashier.text
    # Until the payer has logged in there is no trade.
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.ABSENT
    phone = re.search(r'href="(/phone[^"]+)"', cashier.text)
    assert phone
    page = await box.get(client, phone[1].replace("&amp;", "&"))
    assert 'data-state="payable"' in page.text
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.PENDING
    code = box.trade(opening)["code"]
    done = await client.post(f"{box.sandbox.base}/phone", data={"code": code, "action": "pay"})
    page = await box.get(client, done.headers["Location"])
    back = re.search(r'href="(https://shop.example/[^"]+)"', page.text)
    assert back
    said = dict(parse_qsl(urlsplit(back[1].replace("&amp;", "&")).query))
    assert (said["order"], said["out_trade_no"], said["total_amount"]) == ("1", opening.number, "88.88")
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.PAID


async def test_a_form_that_was_changed_on_its_way_is_refused(box: Box, client: httpx.AsyncClient) -> None:
    action = await box.adapter.open(box.access, box.opening(method=Method.ALIPAY_PAGE))
    cheaper = dict(action.fields) | {"biz_content": action.fields["biz_content"].replace("88.88", "0.01")}
    answer = await client.post(action.value, data=cheaper)
    assert "isv.invalid-signature" in answer.text


async def test_an_app_hands_the_order_string_to_alipay(box: Box) -> None:
    opening = box.opening(method=Method.ALIPAY_APP)
    action = await box.adapter.open(box.access, opening)
    assert action.type is ActionType.SDK
    box.sandbox.post("alipay/app_pay", order_string=action.value)
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.PENDING
    box.pay(opening)
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.PAID


async def test_a_payer_inside_alipay_logs_in_and_pays_by_a_trade_number(box: Box, client: httpx.AsyncClient) -> None:
    away = await client.get(box.adapter.authorize_url(box.access, BACK, "s1"))
    came = dict(parse_qsl(urlsplit(away.headers["Location"]).query))
    assert (came["order"], came["state"]) == ("1", "s1")
    payer = await box.adapter.payer_id(box.access, came["auth_code"])
    assert payer.startswith("2088") is (box.access.credential.app_id == APPS["keys"])
    opening = box.opening(method=Method.ALIPAY_JSAPI, payer_id=payer)
    first, again = [await box.adapter.open(box.access, opening) for _ in range(2)]
    assert first == again
    assert first.type is ActionType.SDK
    box.pay(opening)
    receipt = (await box.adapter.query(box.access, opening.number)).receipt
    assert receipt is not None
    assert receipt.transaction_id == first.value


# ── Undoing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _charged(box: Box, wallet: str = "pays") -> Opening:
    code = box.sandbox.post("codes", channel="alipay", wallet=wallet)["code"]
    opening = box.opening(method=Method.ALIPAY_BARCODE, auth_code=code)
    await box.adapter.charge(box.access, opening)
    return opening


async def test_a_reversal_that_asks_for_another_is_not_known_until_it_is_made(box: Box) -> None:
    opening = await _charged(box)
    box.fault("cancel", "cancel_again")
    with pytest.raises(OutcomeUnknown) as doubt:
        await box.adapter.reverse(box.access, opening.number)
    assert doubt.value.code == "cancel_again"
    await box.adapter.reverse(box.access, opening.number)
    assert box.trade(opening)["refunds"][0]["amount"] == 8888


async def test_a_reversal_for_which_the_seller_is_short_is_asked_for_again(box: Box) -> None:
    opening = await _charged(box)
    box.fault("cancel", "funds_short")
    with pytest.raises(OutcomeUnknown):
        await box.adapter.reverse(box.access, opening.number)
    assert box.trade(opening)["state"] == "paid"


@pytest.mark.parametrize("fault", ["lost", "system_error", "torn", "unsigned"])
async def test_a_charge_that_is_not_answered_is_asked_about(box: Box, fault: str) -> None:
    code = box.sandbox.post("codes", channel="alipay", wallet="pays")["code"]
    opening = box.opening(method=Method.ALIPAY_BARCODE, auth_code=code)
    box.fault("pay", fault)
    with pytest.raises(OutcomeUnknown):
        await box.adapter.charge(box.access, opening)
    wanted = ChannelState.ABSENT if fault == "lost" else ChannelState.PAID
    assert (await box.adapter.query(box.access, opening.number)).state is wanted
    assert (await box.adapter.charge(box.access, opening)).state is ChannelState.PAID
    assert len(box.trade(opening)["transactions"]) == 1


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_partial_refunds_are_told_one_by_one_and_the_last_closes_the_trade(box: Box) -> None:
    opening = await box.paid()
    first, second = box.request(opening, 3000), box.request(opening, 5888)
    one = await box.adapter.refund(box.access, first)
    assert (one.state, one.amount, one.payment_refunded) == (RefundState.SUCCEEDED, Money(3000), Money(3000))
    assert (await box.adapter.query(box.access, opening.number)).detail == "TRADE_SUCCESS"
    two = await box.adapter.refund(box.access, second)
    assert (two.amount, two.payment_refunded) == (Money(5888), Money(8888))
    report = await box.adapter.query(box.access, opening.number)
    # Closed because all went back: that it was paid stays a fact.
    assert (report.state, report.detail) == (ChannelState.PAID, "TRADE_CLOSED")
    told = {refund.number: refund for refund in await box.refund_notices(opening, 2)}
    assert told.keys() == {first.number, second.number}
    assert {told[one.number].payment_refunded for one in (first, second)} == {Money(3000), Money(8888)}
    with pytest.raises(ChannelRejected) as refusal:
        await box.adapter.refund(box.access, box.request(opening, 1))
    assert refusal.value.code == "ACQ.TRADE_HAS_CLOSE"


async def test_a_refund_in_the_sellers_console_is_told_without_a_number_of_ours(box: Box) -> None:
    opening = await box.paid()
    box.sandbox.post("alipay/refund", channel="alipay", out_trade_no=opening.number, amount=100)
    box.sandbox.post("alipay/refund", channel="alipay", out_trade_no=opening.number, amount=250)
    refunds = await box.refund_notices(opening, 2)
    assert [refund.number for refund in refunds] == [None, None]
    assert len({refund.channel_id for refund in refunds}) == 2
    assert sorted(refund.payment_refunded.minor for refund in refunds) == [100, 350]


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("funds_short", ChannelRejected, "channel_funds_short"),
        ("lost", OutcomeUnknown, "outcome_unknown"),
        ("system_error", OutcomeUnknown, "outcome_unknown"),
        ("torn", OutcomeUnknown, "outcome_unknown"),
        ("unsigned", OutcomeUnknown, "unsigned_answer"),
        ("bad_signature", OutcomeUnknown, "bad_signature"),
        ("rate_limited", ChannelUnavailable, "channel_unavailable"),
    ],
)
async def test_a_refund_that_is_not_answered_is_repeated_under_its_number(
    box: Box, fault: str, error: type[Exception], code: str
) -> None:
    opening = await box.paid()
    request = box.request(opening, 4444)
    box.fault("refund", fault)
    with pytest.raises(error) as raised:
        await box.adapter.refund(box.access, request)
    assert getattr(raised.value, "code", None) == code
    done = fault in ("system_error", "torn", "unsigned", "bad_signature")
    wanted = RefundState.SUCCEEDED if done else RefundState.ABSENT
    assert (await box.adapter.query_refund(box.access, request)).state is wanted
    assert (await box.adapter.refund(box.access, request)).state is RefundState.SUCCEEDED
    assert [refund["amount"] for refund in box.trade(opening)["refunds"]] == [4444]  # once


async def test_a_trade_that_has_finished_is_paid_and_not_refunded_any_more(box: Box) -> None:
    opening = await box.paid()
    box.sandbox.post("alipay/finish", channel="alipay", out_trade_no=opening.number)
    report = await box.adapter.query(box.access, opening.number)
    assert (report.state, report.detail) == (ChannelState.PAID, "TRADE_FINISHED")
    with pytest.raises(ChannelRejected) as refusal:
        await box.adapter.refund(box.access, box.request(opening))
    assert refusal.value.code == "ACQ.TRADE_HAS_FINISHED"


# ── Bills ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _fetched(box: Box, kind: StatementKind) -> io.BytesIO | None:
    into = io.BytesIO()
    found = await box.adapter.fetch(box.access, kind, shanghai_day(datetime.now(UTC)), into)
    into.seek(0)
    return into if found else None


async def test_a_days_bills_say_what_was_paid_and_given_back(box: Box) -> None:
    with pytest.raises(ChannelUnavailable) as early:
        await _fetched(box, StatementKind.TRADE)
    assert early.value.code == "bill_not_ready"
    box.sandbox.post("settings", alipay_bills="now", alipay_fee_ppm=6000)
    opening = box.opening(subject="火龙果, 两斤")
    await box.adapter.open(box.access, opening)
    box.pay(opening, received=8000, payer_paid=8000)
    request = box.request(opening, 4000)
    await box.adapter.refund(box.access, request)
    box.sandbox.post("alipay/refund", channel="alipay", out_trade_no=opening.number, amount=100)
    today = shanghai_day(datetime.now(UTC))
    trade, fund = await _fetched(box, StatementKind.TRADE), await _fetched(box, StatementKind.FUND)
    assert trade
    assert fund
    lines = [
        line
        for line in chain.from_iterable(box.adapter.trade_lines(box.access, today, trade))
        if line.payment_number == opening.number
    ]
    in_console = box.trade(opening)["refunds"][1]["number"]
    assert not is_ours(in_console)
    assert [(line.kind, line.number, line.received.minor, line.fee) for line in lines] == [
        ("payment", opening.number, 8000, 48),
        ("refund", request.number, 4000, -24),
        ("refund", in_console, 100, -1),
    ]
    moved = [line for line in box.adapter.fund_lines(box.access, today, fund) if line.number == opening.number]
    assert {(line.movement, line.amount) for line in moved} == {
        (Movement.PAYMENT, 8000),
        (Movement.FEE, -48),
        (Movement.REFUND, -4000),
        (Movement.FEE_RETURNED, 24),
        (Movement.REFUND, -100),
        (Movement.FEE_RETURNED, 1),
    }


@pytest.mark.parametrize("fault", ["bill_late", "bill_empty", "bill_truncated", "bill_differs"])
async def test_a_bill_that_is_late_empty_cut_off_or_different_is_seen_to_be(box: Box, fault: str) -> None:
    box.sandbox.post("settings", alipay_bills="now")
    opening, today = await box.paid(), shanghai_day(datetime.now(UTC))
    box.fault("bill", fault)
    if fault in ("bill_late", "bill_empty"):
        # Both are the same word of Alipay's, and before noon of the next day it proves nothing.
        with pytest.raises(ChannelUnavailable):
            await _fetched(box, StatementKind.TRADE)
        return
    bill = await _fetched(box, StatementKind.TRADE)
    assert bill
    if fault == "bill_truncated":
        with pytest.raises(BillInvalid):
            list(box.adapter.trade_lines(box.access, today, bill))
        return
    lines = list(chain.from_iterable(box.adapter.trade_lines(box.access, today, bill)))
    assert [line.received.minor for line in lines if line.number == opening.number] == [8889]


async def test_a_bill_lists_its_files_under_names_in_gbk(box: Box) -> None:
    box.sandbox.post("settings", alipay_bills="now")
    await box.paid()
    bill = await _fetched(box, StatementKind.TRADE)
    assert bill
    names = [(member.filename.encode("cp437").decode("gbk"), member.flag_bits & 0x800) for member in _members(bill)]
    day = f"{shanghai_day(datetime.now(UTC)):%Y%m%d}"
    assert names == [(f"{SELLER}0156_{day}_业务明细.csv", 0), (f"{SELLER}0156_{day}_业务明细(汇总).csv", 0)]


def _members(bill: io.BytesIO) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(bill) as bundle:
        return bundle.infolist()


# ── Certificates and service providers ───────────────────────────────────────────────────────────────────────────────


async def test_a_platform_certificate_that_changes_is_followed_by_answers_and_notices(box: Box) -> None:
    if not box.access.credential.public.get("app_certificate"):
        return  # an application with keys does not notice
    opening = await box.paid()
    box.sandbox.post("settings", alipay_certificate="next")
    with pytest.raises(NoticeRejected):
        await box.adapter.read(box.access, *box.notice(opening.number), now=datetime.now(UTC))
    assert (await box.adapter.query(box.access, opening.number)).state is ChannelState.PAID
    # The answer taught us: now its notices are believed too.
    assert (await box.adapter.read(box.access, *box.notice(opening.number), now=datetime.now(UTC))).report


async def test_a_certificate_that_is_not_ours_is_refused_by_alipay(box: Box) -> None:
    if not (public := dict(box.access.credential.public)).get("app_certificate"):
        return
    told = box.sandbox.post(
        "alipay/apps",
        app_id="2021000000000033",
        seller_id=SELLER,
        public_key=public["app_certificate"],
        certificates=True,
    )
    other = replace(box.access.credential, public=public | {"app_certificate": told["app_certificate"]}, version=5)
    with pytest.raises(ChannelRejected, match=r"isv\.app-cert-not-exist"):
        await box.adapter.query(replace(box.access, credential=other), box.opening().number)


async def test_a_service_provider_collects_for_the_merchant_that_authorised_it(box: Box) -> None:
    told = box.sandbox.post(
        "alipay/authorisations",
        app_id=box.access.credential.app_id,
        merchant_app_id=MERCHANT_APP,
        seller_id=MERCHANT_SELLER,
    )
    account = replace(
        box.access.account,
        id="cha_sub",
        payee=MERCHANT_SELLER,
        sealed=sealed_for("cha_sub", app_auth_token=told["app_auth_token"]),
    )
    access = Access(account, replace(box.access.credential, provider="2088000000000777"))
    side = replace(box, access=access)
    opening = await side.paid()
    receipt = (await side.adapter.query(access, opening.number)).receipt
    assert receipt is not None
    assert (receipt.app_id, receipt.payee) == (access.credential.app_id, MERCHANT_SELLER)
    notice = await side.adapter.read(access, *side.notice(opening.number), now=datetime.now(UTC))
    assert notice.report is not None
    assert notice.report.receipt == receipt
    assert (await side.adapter.refund(access, side.request(opening))).state is RefundState.SUCCEEDED
    stolen = replace(account, sealed=sealed_for("cha_sub", app_auth_token="202611BBnobody"))
    with pytest.raises(ChannelRejected) as refusal:
        await side.adapter.query(Access(stolen, access.credential), opening.number)
    assert refusal.value.code == "aop.invalid-app-auth-token"
