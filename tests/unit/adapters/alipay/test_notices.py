"""Alipay's notices: what is believed, and that nothing else is."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.outbound.alipay import keys, notices
from adapters.outbound.alipay.sdk import Gateway
from domain.channels import ChannelNotice, ChannelState
from domain.errors import ChannelUnavailable, NoticeRejected
from domain.money import Money
from tests.unit.adapters.alipay.world import (
    APP_ID,
    NUMBER,
    SELLER,
    World,
    form,
    notice_fields,
    sign,
    signed_notice,
)

NOW = datetime(2026, 11, 23, 16, 10, 9, tzinfo=UTC)
WORLD = World()
ACCESS = WORLD.access()
GATEWAY = Gateway(APP_ID, keys.load(WORLD.vault, ACCESS.credential, SELLER))
HONEST = signed_notice(notice_fields())


def _read(body: bytes) -> ChannelNotice:
    return notices.read(GATEWAY, ACCESS, body)


def _refused(body: bytes) -> str:
    with pytest.raises(NoticeRejected) as refusal:
        _read(body)
    return refusal.value.code


async def test_a_notice_of_a_payment_is_a_receipt(world: World) -> None:
    async with world.adapter(lambda _: b"") as alipay:
        notice = await alipay.read(world.access(), {}, form(HONEST), now=NOW)
    assert (notice.id, notice.kind) == ("2026112300222000000000000000000001", "trade_status_sync")
    assert notice.report is not None
    receipt = notice.report.receipt
    assert receipt is not None
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert receipt.paid_at == datetime(2026, 11, 23, 16, 10, 5, tzinfo=UTC)
    assert (receipt.app_id, receipt.payee, receipt.number) == (APP_ID, SELLER, NUMBER)


def test_the_same_notice_again_is_the_same_notice() -> None:
    assert _read(form(HONEST)) == _read(form(HONEST))
    later = signed_notice(notice_fields(notify_time="2026-11-24 01:10:08"))
    assert _read(form(later)).id == _read(form(HONEST)).id


@given(name=st.sampled_from(sorted(HONEST)), data=st.data())
def test_one_changed_character_in_any_field_is_refused(name: str, data: Any) -> None:
    value = HONEST[name]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    assume(other != value[at])
    assert _refused(form(HONEST | {name: value[:at] + other + value[at + 1 :]}))


@given(at=st.integers(0, len(form(HONEST)) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_of_the_body_is_refused_or_changes_nothing(at: int, byte: int) -> None:
    body = form(HONEST)
    mutated = body[:at] + bytes([byte]) + body[at + 1 :]
    try:
        notice = _read(mutated)
    except NoticeRejected:
        return
    # "%2f" for "%2F", or "%20" for "+": other bytes, the same words.
    assert dict(parse_qsl(mutated.decode())) == HONEST
    assert notice == _read(body)


@given(name=st.sampled_from(sorted(HONEST)))
def test_a_notice_without_one_of_its_fields_is_refused(name: str) -> None:
    assert _refused(form({field: value for field, value in HONEST.items() if field != name}))


@given(name=st.text("abcdefgh_", min_size=1, max_size=12), value=st.text(max_size=8))
def test_a_notice_with_a_field_more_is_refused(name: str, value: str) -> None:
    assume(name not in HONEST)
    assert _refused(form(HONEST | {name: value})) == "bad_signature"


@given(body=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_bytes_at_all_raise_anything_but_a_refusal(body: bytes) -> None:
    assert _refused(body)


def test_a_forged_notice_is_refused() -> None:
    assert _refused(form(signed_notice(notice_fields(), by="thief"))) == "bad_signature"
    assert _refused(form(signed_notice(notice_fields(), by="app"))) == "bad_signature"
    assert _refused(form(notice_fields())) == "sign_type"
    assert _refused(form(notice_fields() | {"sign_type": "RSA2"})) == "bad_signature"
    assert _refused(b"") == "form_invalid"


@pytest.mark.parametrize("sign_type", ["RSA", "rsa2", "MD5", "none", ""])
def test_the_algorithm_is_ours_to_say(sign_type: str) -> None:
    assert _refused(form(signed_notice(notice_fields(), sign_type=sign_type))) == "sign_type"


def test_a_signature_over_the_sign_type_too_is_no_notices_signature() -> None:
    fields = notice_fields() | {"sign_type": "RSA2"}
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    assert _refused(form(fields | {"sign": sign(text)})) == "bad_signature"


@pytest.mark.parametrize(
    "more",
    [
        b"&total_amount=0.01",
        b"&out_trade_no=" + NUMBER.encode(),
        b"&sign_type=RSA2",
        b"&",
        b"&alone",
        b"&=value",
        b"&name=%ff",
        b"&name=%c0%af",
        b"&%ff=1",
        b"&name=\xe7\x81\xab",
    ],
)
def test_a_form_that_can_be_read_in_two_ways_is_refused(more: bytes) -> None:
    assert _refused(form(HONEST) + more) == "form_invalid"


def test_another_charset_than_the_one_we_ask_for_is_refused() -> None:
    assert _refused(form(signed_notice(notice_fields(charset="GBK")))) == "charset"
    assert _read(form(signed_notice(notice_fields(charset="UTF-8")))).report


def test_other_escapes_of_the_same_words_are_the_same_notice() -> None:
    spelled = "&".join(f"{name}={quote_plus(value).replace('+', '%20')}" for name, value in HONEST.items())
    assert _read(spelled.lower().encode() if spelled.islower() else spelled.encode()) == _read(form(HONEST))


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"trade_status": "TRADE_FINISHED"}, ChannelState.PAID),
        ({"trade_status": "WAIT_BUYER_PAY", "gmt_payment": None}, ChannelState.PENDING),
        ({"trade_status": "TRADE_CLOSED", "gmt_payment": None}, ChannelState.CLOSED),
        ({"trade_status": "TRADE_CLOSED"}, ChannelState.PAID),
    ],
)
def test_each_trade_status_is_one_state(changes: dict[str, str | None], state: ChannelState) -> None:
    report = _read(form(signed_notice(notice_fields(**changes)))).report
    assert report is not None
    assert report.state is state


@pytest.mark.parametrize(
    "changes", [{"refund_fee": "1.00"}, {"gmt_refund": "2026-11-25 00:00:00.123"}, {"out_biz_no": "R1"}]
)
def test_a_notice_of_a_refund_reports_no_payment(changes: dict[str, str]) -> None:
    for status in ("TRADE_SUCCESS", "TRADE_CLOSED"):
        notice = _read(form(signed_notice(notice_fields(trade_status=status, **changes))))
        assert (notice.kind, notice.report) == ("refund", None)


def test_a_notice_of_something_else_is_kept_without_a_report() -> None:
    other = notice_fields(notify_type="open_app_auth_notify", trade_status=None)
    notice = _read(form(signed_notice(other)))
    assert (notice.kind, notice.report) == ("open_app_auth_notify", None)


@pytest.mark.parametrize("changes", [{"app_id": "2021000000009999"}, {"seller_id": "2088999999999999"}])
def test_money_of_another_app_or_seller_is_reported_as_what_it_is(changes: dict[str, str]) -> None:
    report = _read(form(signed_notice(notice_fields(**changes)))).report
    assert report is not None
    assert report.receipt is not None
    said = {"app_id": report.receipt.app_id, "seller_id": report.receipt.payee}
    assert said == {"app_id": APP_ID, "seller_id": SELLER} | changes


@pytest.mark.parametrize("changes", [{"app_id": "2021000000009999"}, {"seller_id": "2088999999999999"}])
def test_a_strangers_closed_trade_closes_nothing_of_ours(changes: dict[str, str]) -> None:
    fields = notice_fields(trade_status="TRADE_CLOSED", gmt_payment=None, **changes)
    assert _read(form(signed_notice(fields))).report is None


def test_a_notice_without_a_seller_is_our_accounts() -> None:
    report = _read(form(signed_notice(notice_fields(seller_id=None)))).report
    assert report is not None
    assert report.receipt is not None
    assert report.receipt.payee == SELLER


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"notify_id": None}, "answer_invalid"),
        ({"notify_type": None}, "answer_invalid"),
        ({"app_id": None}, "answer_invalid"),
        ({"out_trade_no": None}, "answer_invalid"),
        ({"trade_no": ""}, "answer_invalid"),
        ({"trade_status": "TRADE_NEW"}, "answer_invalid"),
        ({"total_amount": "88.8８"}, "amount_invalid"),
        ({"total_amount": "1e2"}, "amount_invalid"),
        ({"gmt_payment": "2026-11-24T00:10:05"}, "answer_invalid"),
        ({"trans_currency": "USD"}, "currency"),
    ],
)
def test_a_rightly_signed_notice_that_makes_no_sense_is_refused(changes: dict[str, str | None], code: str) -> None:
    assert _refused(form(signed_notice(notice_fields(**changes)))) == code


async def test_a_notice_for_keys_that_cannot_be_used_is_our_fault_and_comes_again(world: World) -> None:
    async with world.adapter(lambda _: b"") as alipay:
        access = world.access(world.credential(public={"alipay_public_key": "x"}))
        with pytest.raises(ChannelUnavailable) as refusal:
            await alipay.read(access, {}, form(HONEST), now=NOW)
    assert refusal.value.code == "alipay_public_key_invalid"


async def test_the_answers_are_those_alipay_understands(world: World) -> None:
    async with world.adapter(lambda _: b"") as alipay:
        accepted, not_accepted = alipay.answer(accepted=True), alipay.answer(accepted=False)
    assert (accepted.status, accepted.media_type, accepted.body) == (200, "text/plain", b"success")
    assert (not_accepted.status, not_accepted.body) == (400, b"fail")
