"""WeChat Pay's notices: what is believed, and that nothing else is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.outbound.wechat import keys, notices
from domain.channels import ChannelNotice, ChannelState
from domain.errors import ChannelUnavailable, NoticeRejected
from domain.money import Money
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCHID,
    NUMBER,
    SERIAL,
    World,
    certificate,
    envelope,
    paid,
    seal,
    signed,
)

NOW = datetime(2026, 11, 23, 16, 10, 9, tzinfo=UTC)
WORLD = World()
ACCESS = WORLD.access(WORLD.credential({"platform_certificates": certificate()}))
KEYS = keys.load(WORLD.vault, ACCESS.credential, MCHID)
BODY = envelope()
HEADERS = signed(BODY, at=NOW)


def _read(body: bytes, headers: Mapping[str, str] | None = None, *, now: datetime = NOW) -> ChannelNotice:
    headers = signed(body, at=NOW) if headers is None else headers
    return notices.read(KEYS.wechat, KEYS.apiv3, ACCESS, headers, body, now=now)


def _refused(body: bytes, headers: Mapping[str, str] | None = None, *, now: datetime = NOW) -> str:
    with pytest.raises(NoticeRejected) as refusal:
        _read(body, headers, now=now)
    return refusal.value.code


async def test_a_notice_of_a_payment_is_a_receipt(world: World) -> None:
    def never(_: httpx.Request) -> httpx.Response:
        raise AssertionError("reading a notice calls nobody")

    async with world.adapter(never) as wechat:
        notice = await wechat.read(world.access(), HEADERS, BODY, now=NOW)
    assert (notice.id, notice.kind) == ("f7c34059-0f2d-5b32-ba33-a42d00000597", "TRANSACTION.SUCCESS")
    assert notice.report is not None
    receipt = notice.report.receipt
    assert receipt is not None
    assert (receipt.total, receipt.received, receipt.payer_paid) == (Money(8888), Money(8000), Money(7550))
    assert (receipt.app_id, receipt.payee, receipt.number) == (APP_ID, MCHID, NUMBER)
    assert receipt.paid_at == datetime(2026, 11, 23, 16, 10, 5, tzinfo=UTC)


def test_a_replay_is_the_same_notice() -> None:
    again = signed(BODY, at=NOW + timedelta(seconds=15))
    assert _read(BODY, again, now=NOW + timedelta(seconds=15)) == _read(BODY) == _read(BODY)


def test_what_is_kept_of_a_notices_headers_verifies_it_again_and_is_no_more_than_that() -> None:
    kept = _read(BODY, HEADERS | {"Cookie": "secret", "Host": "pay.example"}).headers
    assert kept == {name.lower(): value for name, value in HEADERS.items()}
    assert _read(BODY, kept) == _read(BODY)


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_headers_are_found_in_any_case(case: Any) -> None:
    assert _read(BODY, {case(name): value for name, value in HEADERS.items()}) == _read(BODY)


@given(at=st.integers(0, len(BODY) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_of_the_body_is_refused(at: int, byte: int) -> None:
    assume(byte != BODY[at])
    assert _refused(BODY[:at] + bytes([byte]) + BODY[at + 1 :], HEADERS) == "bad_signature"


@given(name=st.sampled_from(sorted(HEADERS)), data=st.data())
def test_one_changed_character_in_any_header_is_refused(name: str, data: Any) -> None:
    value = HEADERS[name]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    assume(other != value[at])
    assert _refused(BODY, HEADERS | {name: value[:at] + other + value[at + 1 :]})


@given(body=st.binary(max_size=100), headers=st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text(max_size=20)))
def test_no_message_at_all_raises_anything_but_a_refusal(body: bytes, headers: dict[str, str]) -> None:
    assert _refused(body, headers)
    assert _refused(body, signed(body, at=NOW))


@pytest.mark.parametrize("name", ["Wechatpay-Signature", "Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce"])
def test_a_notice_without_one_of_its_headers_is_refused(name: str) -> None:
    assert _refused(BODY, {key: value for key, value in HEADERS.items() if key != name}) == "signature_missing"


def test_a_forged_notice_is_refused() -> None:
    assert _refused(BODY, {}) == "signature_missing"
    assert _refused(BODY, signed(BODY, at=NOW, by="thief")) == "bad_signature"
    assert _refused(BODY, signed(BODY, at=NOW, by="merchant")) == "bad_signature"
    assert _refused(BODY, signed(BODY, at=NOW, serial="PUB_KEY_ID_2")) == "serial_unknown"
    assert _refused(BODY, signed(BODY, at=NOW, serial="not hexadecimal")) == "serial_unknown"
    assert _refused(BODY, signed(BODY, at=NOW, serial=f"{SERIAL:040X}")) == "bad_signature"
    assert _refused(BODY, signed(BODY, at=NOW, signature_type="WECHATPAY2-SM2-WITH-SM3")) == "signature_type"


def test_only_one_spelling_of_a_signature_counts() -> None:
    signature = HEADERS["Wechatpay-Signature"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(signature[-3]) ^ 1]  # the low bits there are spare: both decode to the same bytes
    assert _refused(BODY, HEADERS | {"Wechatpay-Signature": signature[:-3] + other + "=="}) == "bad_signature"


def test_either_key_is_believed_under_its_own_serial_while_a_merchant_moves_over() -> None:
    by_certificate = signed(BODY, at=NOW, by="platform", serial=f"{SERIAL:040X}")
    assert _read(BODY, by_certificate) == _read(BODY)


def test_a_notice_without_a_signature_type_is_verified_by_our_algorithm() -> None:
    assert _read(BODY, signed(BODY, at=NOW, signature_type=None)) == _read(BODY)
    assert _refused(BODY, signed(BODY, at=NOW, signature_type=None, by="thief")) == "bad_signature"


def test_a_signature_probe_is_refused_by_its_name() -> None:
    probe = "WECHATPAY/SIGNTEST/" + HEADERS["Wechatpay-Signature"]
    assert _refused(BODY, HEADERS | {"Wechatpay-Signature": probe}) == "signature_probe"


@pytest.mark.parametrize(("seconds", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_rightly_signed_notice_is_believed_for_five_minutes(seconds: int, taken: bool) -> None:
    now = NOW + timedelta(seconds=seconds)
    if taken:
        assert _read(BODY, HEADERS, now=now).report
    else:
        assert _refused(BODY, HEADERS, now=now) == "timestamp_stale"


def test_what_was_sealed_with_another_key_is_refused() -> None:
    other = seal(json.dumps(paid()).encode(), apiv3="x" * 32)
    assert _refused(envelope(resource=other)) == "answer_invalid"


@pytest.mark.parametrize(
    "resource",
    [
        {"associated_data": "certificate"},
        {"nonce": "ba9876543210"},
        {"nonce": ""},
        {"nonce": "short"},
        {"nonce": 7},
        {"ciphertext": "!"},
        {"ciphertext": ""},
        {"ciphertext": None},
        {"algorithm": "none"},
        {"algorithm": None},
        seal(b"\xff"),
        seal(b"not json"),
        seal(b"[]"),
        seal(b"[" * 100_000),
    ],
)
def test_a_resource_that_does_not_open_is_refused(resource: dict[str, Any]) -> None:
    assert _refused(envelope(resource=resource)) in ("answer_invalid", "notice_invalid")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        envelope(id=None),
        envelope(id=7),
        envelope(event_type=""),
        envelope(resource_type="plain"),
        envelope(resource_type=None),
        envelope().replace(b'"resource": {', b'"other": {'),
    ],
)
def test_a_rightly_signed_body_that_is_no_notice_is_refused(body: bytes) -> None:
    assert _refused(body) in ("answer_invalid", "notice_invalid")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"out_trade_no": None}, "answer_invalid"),
        ({"appid": None}, "answer_invalid"),
        ({"trade_state": "NEW"}, "answer_invalid"),
        ({"amount": {"total": 8888, "currency": "USD"}}, "currency"),
        ({"amount": {"total": "8888"}}, "amount_invalid"),
    ],
)
def test_a_transaction_that_makes_no_sense_is_refused(changes: dict[str, Any], code: str) -> None:
    assert _refused(envelope(paid(**changes))) == code


@pytest.mark.parametrize("kind", ["REFUND.SUCCESS", "PAYSCORE.USER_PAID"])
def test_a_notice_of_something_else_is_kept_without_a_report(kind: str) -> None:
    notice = _read(envelope(event_type=kind))
    assert (notice.kind, notice.report) == (kind, None)


def test_a_resource_of_another_type_is_no_transaction() -> None:
    assert _read(envelope(resource={"original_type": "refund"})).report is None


@pytest.mark.parametrize("changes", [{"appid": "wx0000000000000002"}, {"mchid": "1900000002"}])
def test_money_of_another_appid_or_merchant_is_reported_as_what_it_is(changes: dict[str, str]) -> None:
    report = _read(envelope(paid(**changes))).report
    assert report is not None
    assert report.receipt is not None
    said = {"appid": report.receipt.app_id, "mchid": report.receipt.payee}
    assert said == {"appid": APP_ID, "mchid": MCHID} | changes


def test_a_strangers_closed_order_closes_nothing_of_ours() -> None:
    assert _read(envelope(paid(trade_state="CLOSED", mchid="1900000002"))).report is None
    ours = _read(envelope(paid(trade_state="CLOSED"))).report
    assert ours is not None
    assert ours.state is ChannelState.CLOSED


async def test_a_notice_for_keys_that_cannot_be_used_is_our_fault_and_comes_again(world: World) -> None:
    async with world.adapter(lambda _: None) as wechat:
        access = world.access(world.credential(sealed={"apiv3_key": "short"}))
        with pytest.raises(ChannelUnavailable) as refusal:
            await wechat.read(access, HEADERS, BODY, now=NOW)
    assert refusal.value.code == "apiv3_key_invalid"


async def test_the_answers_are_those_wechat_pay_understands(world: World) -> None:
    async with world.adapter(lambda _: None) as wechat:
        accepted, not_accepted = wechat.answer(accepted=True), wechat.answer(accepted=False)
    assert (accepted.status, accepted.body) == (204, b"")
    assert (not_accepted.status, not_accepted.media_type) == (400, "application/json")
    assert json.loads(not_accepted.body)["code"] == "FAIL"
