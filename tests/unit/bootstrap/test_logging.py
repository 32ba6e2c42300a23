"""One JSON object a line, with the ids of the work, and no secret in any of them."""

import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.logging import configure, redact

CANARY = "CANARYab12"
API_KEY = f"pty_sk_live_{CANARY}{'x' * 33}"
PEM = f"-----BEGIN PRIVATE KEY-----\nMIIE{CANARY}\n-----END PRIVATE KEY-----"


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before, level, hook = list(root.handlers), root.level, sys.excepthook
    lines = Lines()
    configure("INFO", lines.stream)
    yield lines
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_one_json_object_with_level_logger_and_time(lines: Lines) -> None:
    structlog.get_logger("orders").info("placed", amount=100)
    (line,) = lines.all
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "placed", "amount": 100, "level": "info", "logger": "orders"}


def test_the_ids_of_the_work_are_on_every_line_below_it(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="req_1", order_id="ord_1"):
        structlog.get_logger("ours").info("one")
        logging.getLogger("theirs").warning("two")
    structlog.get_logger("ours").info("three")
    one, two, three = lines.all
    assert one["request_id"] == two["request_id"] == "req_1"
    assert two["order_id"] == "ord_1"
    assert "request_id" not in three


@pytest.mark.parametrize(
    "fields",
    [
        {"key": API_KEY},
        {"text": f"refused {API_KEY}!"},
        {"pem": PEM},
        {"cut": PEM[:45]},
        {"quoted": repr(PEM)},
        {"signing": f"whsec_{CANARY}+/=="},
        {"secret": CANARY},
        {"webhookSecret": CANARY},
        {"db_password": CANARY},
        {"cashier_token": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"headers": {"authorization": CANARY, "x": [("cookie", f"token={CANARY}")]}},
        {"deep": [{"a": ({"api_key": CANARY},)}]},
        {"url": f"postgresql://pitaya:{CANARY}@db/pitaya"},
        {"header": f"Authorization: Bearer {CANARY}"},
        {"message": f"login failed for password={CANARY}, try again"},
        {"message": f"Order(id='ord_1', cashier_token='{CANARY}', paid=0)"},
        {"raw": f'{{"password": "{CANARY} with blanks"}}'.encode()},
        {API_KEY: "as a name"},
        {"object": type("O", (), {"__repr__": lambda _: f"O(secret='{CANARY}')"})()},
    ],
    ids=lambda fields: str(next(iter(fields)))[:8],
)
def test_no_secret_is_written_whatever_it_hides_in(lines: Lines, fields: dict[str, Any]) -> None:
    structlog.get_logger("ours").info("x", **fields)
    logging.getLogger("theirs").warning("saw %s", fields)
    logging.getLogger("theirs").warning("saw", extra={"seen": fields})
    assert len(lines.all) == 3
    assert CANARY not in lines.stream.getvalue()


def test_no_secret_is_written_in_a_traceback(lines: Lines) -> None:
    def fail() -> None:
        raise ValueError(f"cannot use {PEM} with {API_KEY}")

    try:
        fail()
    except ValueError:
        structlog.get_logger("ours").exception("one")
        logging.getLogger("theirs").exception("two")
    assert "ValueError" in lines.all[0]["exception"]
    assert "ValueError" in lines.all[1]["exception"]
    assert CANARY not in lines.stream.getvalue()


def test_a_private_key_without_its_frame_is_masked(lines: Lines) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    bare = "".join(pem.splitlines()[1:-1])
    structlog.get_logger("ours").info("x", value=bare)
    assert bare[300:400] not in lines.stream.getvalue()


# Parts of secrets and of what is none, to be put together in every way: short ones have a quick way of their own.
PARTS = [
    "pty_",
    "PTY_",
    "ab",
    "ab_",
    "whsec_",
    "://",
    "u:p@",
    "Bearer ",
    "Basic ",
    "token",
    "api_key=",
    "=",
    " : ",
    "'",
]
PARTS += ["-----BEGIN PRIVATE KEY-----", "MIIE", "x" * 40, "ord_01ARYZ6S41", "\n", "é"]


@given(st.lists(st.sampled_from(PARTS), max_size=3).map("".join))
def test_a_short_text_is_masked_as_a_long_one(text: str) -> None:
    long = "-" * 200
    masked = redact(None, "info", {"x": text})["x"]
    assert redact(None, "info", {"x": f"{long}\n{text}"})["x"] == f"{long}\n{masked}"


def test_what_is_no_secret_stays_readable(lines: Lines) -> None:
    fields = {"order_id": "ord_01ARYZ6S41", "url": "https://shop.example/hook?x=1", "keys": 3, "ok": True, "none": None}
    structlog.get_logger("ours").info("the key of the matter", **fields, secret=None)
    (line,) = lines.all
    assert line.items() >= {**fields, "secret": None, "event": "the key of the matter"}.items()


def test_no_text_can_forge_a_line_or_move_the_cursor(lines: Lines) -> None:
    structlog.get_logger("ours").info("one\n{}\r\x1b[2J\u2028\ud800", name="a\nb")
    assert len(lines.stream.getvalue().splitlines()) == 1
    assert "\x1b" not in lines.stream.getvalue()
    assert lines.all[0]["name"] == "a\nb"


def test_libraries_that_log_every_url_are_silenced_and_their_warnings_are_not(lines: Lines) -> None:
    logging.getLogger("httpx").info("GET https://x.example/?token=abc")
    logging.getLogger("celery.app.trace").info("Task succeeded")
    logging.getLogger("httpx").warning("odd")
    assert [line["event"] for line in lines.all] == ["odd"]


def test_what_others_configured_is_undone(lines: Lines) -> None:
    stray = logging.getLogger("stray")
    theirs = io.StringIO()
    stray.addHandler(logging.StreamHandler(theirs))
    stray.propagate, stray.disabled = False, True
    configure("INFO", lines.stream)
    stray.warning("heard")
    assert [line["event"] for line in lines.all] == ["heard"]
    assert theirs.getvalue() == ""


def test_warnings_and_uncaught_errors_are_lines_too(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"secret={CANARY}", UserWarning, stacklevel=1)
    sys.excepthook(RuntimeError, RuntimeError(f"token={CANARY}"), None)
    assert [line["level"] for line in lines.all] == ["warning", "critical"]
    assert CANARY not in lines.stream.getvalue()


def test_hostile_text_is_masked_in_bounded_time(lines: Lines) -> None:
    logging.getLogger().handlers[1:] = []  # pytest's own: slow to print
    began = time.process_time()
    for text in (
        "a-" * 50_000,
        "MII" * 30_000,
        "://" * 30_000,
        "-----BEGIN " * 10_000,
        "secret" * 20_000,
        "=" * 90_000,
        "token=" * 20_000,
        "token='" * 20_000,
        "token " * 20_000,
    ):
        structlog.get_logger("ours").info(text)
    assert time.process_time() - began < 3
