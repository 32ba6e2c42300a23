"""Each trap of python-alipay-sdk, sprung and survived."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import alipay
import pytest

from adapters.outbound.alipay import keys
from adapters.outbound.alipay.sdk import Gateway
from domain.errors import OutcomeUnknown
from tests.unit.adapters.alipay.world import APP_ID, SELLER, World, answer, good, key, sign

QUERY = "alipay.trade.query"


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    world = World()
    return Gateway(APP_ID, keys.load(world.vault, world.credential(), SELLER))


_LOG_FIRST = """
import logging, logging.config, sys
path, how = sys.argv[1:]
configure = logging.config.dictConfig
logging.basicConfig(handlers=[logging.FileHandler(path, mode="w")], level="INFO")
if how == "ours":
    import adapters.outbound.alipay
else:
    import alipay
assert logging.config.dictConfig is configure
logging.getLogger("pitaya").info("still here")
"""


@pytest.mark.parametrize(("how", "logged"), [("ours", "still here\n"), ("theirs", "")])
def test_importing_the_adapter_leaves_handlers_open_that_the_sdk_would_close(
    how: str, logged: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-c", _LOG_FIRST, log, how], check=True, timeout=60)
    assert log.read_text().replace("INFO:pitaya:", "") == logged


@pytest.mark.parametrize("text", ["a}b", "a{b", '\\"}', "{}}{", "}"])
def test_an_answer_with_a_brace_in_a_string_is_believed(gateway: Gateway, text: str) -> None:
    content = gateway.believe(QUERY, answer(QUERY, good(subject=text)))
    assert content["subject"] == text


def test_what_was_signed_is_what_is_read(gateway: Gateway) -> None:
    raw = '{"code" : "10000",  "out_trade_no":"\\u0041\\/"}'
    assert gateway.believe(QUERY, answer(QUERY, raw)) == {"code": "10000", "out_trade_no": "A/"}


def test_a_second_node_of_the_same_name_is_never_read(gateway: Gateway) -> None:
    honest = answer(QUERY, good(trade_status="WAIT_BUYER_PAY")).decode()
    forged = honest[:-1] + ',"alipay_trade_query_response":{"code":"10000","trade_status":"TRADE_SUCCESS"}}'
    assert gateway.believe(QUERY, forged.encode())["trade_status"] == "WAIT_BUYER_PAY"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_timestamp_is_beijings_whatever_the_machines_zone(
    gateway: Gateway, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        fields = dict(parse_qsl(gateway.request(QUERY, {}).decode()))
    finally:
        monkeypatch.undo()
        time.tzset()
    sent = datetime.strptime(fields["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - timedelta(hours=8)
    assert abs(datetime.now(UTC) - sent) < timedelta(seconds=5)


def test_a_request_is_signed_over_all_that_it_says(gateway: Gateway) -> None:
    fields = dict(
        parse_qsl(gateway.request(QUERY, {"subject": "火龙果"}, notify_url="https://a.example/?x=1&y=%2F").decode())
    )
    signature = fields.pop("sign")
    assert signature == sign("&".join(f"{name}={value}" for name, value in sorted(fields.items())), "app")
    assert (fields["sign_type"], fields["charset"], fields["app_id"]) == ("RSA2", "utf-8", APP_ID)


def test_no_key_goes_through_pycryptodomex(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise AssertionError("three times as slow")

    monkeypatch.setattr(alipay.RSA, "importKey", slow)
    monkeypatch.setattr(alipay.PKCS1_v1_5, "new", slow)
    gateway = Gateway(APP_ID, keys.load(world.vault, world.credential(), SELLER))
    assert gateway.request(QUERY, {})
    assert gateway.believe(QUERY, answer(QUERY, good()))


@pytest.mark.parametrize("signature", [None, 7, "", "abc", "!!!!", "äöü", "AAAA", "A" * 344])
def test_whatever_stands_for_a_signature_is_refused_and_never_raised(gateway: Gateway, signature: object) -> None:
    raw = json.dumps({"alipay_trade_query_response": good(), "sign": signature})
    with pytest.raises(OutcomeUnknown) as doubt:
        gateway.believe(QUERY, raw.encode())
    assert doubt.value.code == "bad_signature"
    assert not gateway.signed({"a": "b"}, signature if isinstance(signature, str) else "")


def test_only_one_spelling_of_a_signature_counts(gateway: Gateway) -> None:
    signature = sign("a=b")
    assert gateway.signed({"a": "b"}, signature)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = last[last.index(signature[-3]) ^ 1]  # the low bits there are spare: both decode to the same bytes
    assert not gateway.signed({"a": "b"}, signature[:-3] + other + "==")
    assert not gateway.signed({"a": "b"}, signature + "\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"sign":"x"}',
        b'{"alipay_trade_query_response":7,"sign":"x"}',
        b'{"alipay_trade_query_response":"text"}',
        b'{"alipay_trade_close_response":{"code":"10000"},"sign":"x"}',
        b'{"error_response":7}',
        b'{"alipay_trade_query_response":{"code":["40002"]}}',
        b'\xff\xfe{"alipay_trade_query_response":{}}',
        b'{"alipay_trade_query_response":' + b"[" * 100_000,
        answer(QUERY, good())[:-40],
    ],
)
def test_an_answer_that_is_none_leaves_the_outcome_unknown(gateway: Gateway, raw: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        gateway.believe(QUERY, raw)


def test_an_answer_signed_by_somebody_else_or_over_something_else_is_not_believed(gateway: Gateway) -> None:
    for forged in (answer(QUERY, good(), by="thief"), answer(QUERY, good(), over='{"code":"10000"}')):
        with pytest.raises(OutcomeUnknown) as doubt:
            gateway.believe(QUERY, forged)
        assert doubt.value.code == "bad_signature"


def test_loading_the_keys_once_is_what_makes_signing_cheap(gateway: Gateway) -> None:
    assert gateway._keys.app.private_numbers() == key("app").private_numbers()
    assert gateway.app_private_key is None
