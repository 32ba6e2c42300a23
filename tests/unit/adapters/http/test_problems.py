"""Codes, titles and statuses: stable, complete, in two languages."""

import ast
from pathlib import Path

import pytest

from adapters.inbound.http.codes import TITLES
from adapters.inbound.http.docs import errors_markdown
from adapters.inbound.http.problems import STATUS, speaks_chinese
from domain import errors
from tests.fakes.database import DatabaseFault
from tests.unit.adapters.http.shop import Shop, code_of, order

ROOT = Path(__file__).parents[4]
# Channel refusals and notices name the channel's own reasons, which are for logs; callers see the class's code.
INTERNAL = {"ChannelRejected", "ChannelUnavailable", "OutcomeUnknown", "ChannelError", "NoticeRejected"}
EXPECTED = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - INTERNAL | {"BadRequest"}


def codes_in_use() -> dict[str, str]:
    """Every code that a public failure is raised with, and where."""
    found = {}
    for path in [path for part in ("domain", "application", "adapters", "bootstrap") for path in
                 (ROOT / "src" / part).rglob("*.py")]:  # fmt: skip
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "code=" in text or "BadRequest(" in text else ():
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in EXPECTED:
                continue
            words = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if node.func.id == "BadRequest":  # type: ignore[attr-defined]
                words = node.args[1:2]
            for word in words:
                if isinstance(word, ast.Constant):
                    found[str(word.value)] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


def test_every_code_in_use_has_its_title_in_both_languages() -> None:
    used = codes_in_use()
    assert len(used) > 20, "the search found too little to mean anything"
    assert {code: place for code, place in used.items() if code not in TITLES} == {}


def test_every_class_of_failure_has_a_status_and_a_titled_code() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.PitayaError):
            assert any(parent in STATUS for parent in kind.__mro__)
            assert kind.default_code in TITLES


def test_no_title_is_empty_or_left_untranslated() -> None:
    for code, title in TITLES.items():
        assert code == code.lower()
        assert title.en.isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in title.zh), code


def test_the_page_of_codes_is_written_from_the_table() -> None:
    page = ROOT / "docs" / "errors.md"
    assert page.read_text() == errors_markdown(), "write docs/errors.md anew with errors_markdown()"


@pytest.mark.parametrize(("header", "chinese"), [
    ("", False), ("en", False), ("zh", True), ("zh-CN,zh;q=0.9,en;q=0.8", True), ("en-US,en;q=0.9,zh;q=0.8", False),
    ("fr, zh;q=0.5, en;q=0.4", True), ("zh;q=0", False), ("ZH-Hans", True), ("*", False), ("en;q=0.5,zh", True),
    ("zh;q=abc", False), ("zh;q=1e9", False), ("zh;q=nan,en;q=0.1", False), (";;;,,,", False), ("zhx", False),
    ("zh;q=0.5,en;q=0.5", True), ("x," * 10_000 + "zh", False), ("zh;q=١", False),
])  # fmt: skip
def test_titles_follow_the_language_asked_for(header: str, chinese: bool) -> None:
    assert speaks_chinese(header) is chinese


async def test_a_chinese_caller_reads_a_chinese_title_and_the_same_code(quiet_shop: Shop) -> None:
    english = await quiet_shop.call("GET", "/v1/orders/x")
    chinese = await quiet_shop.call("GET", "/v1/orders/x", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert code_of(english) == code_of(chinese) == "not_found"
    assert chinese.json()["title"] == "资源不存在"
    assert english.json()["title"] != chinese.json()["title"]


async def test_a_database_that_is_away_says_come_back_and_nothing_of_itself(shop: Shop) -> None:
    shop.house.database.faults.always = DatabaseFault.LOST_CONNECTION
    answer = await shop.call("POST", "/v1/orders", order())
    assert (answer.status_code, code_of(answer)) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "connection" not in answer.text


async def test_a_commit_whose_answer_was_lost_may_be_repeated(shop: Shop) -> None:
    shop.house.database.faults.once(DatabaseFault.COMMIT_DONE, "commit")
    shop.house.database.faults.once(DatabaseFault.COMMIT_DONE, "commit")
    answers = [await shop.call("POST", "/v1/orders", order()) for _ in range(3)]
    assert [answer.status_code for answer in answers][-1] == 201
    assert {code_of(answer) for answer in answers[:2]} == {"outcome_unknown"}
    assert len(shop.stored()["payment_order"]) == 1


async def test_a_bug_is_a_problem_that_tells_nothing_but_its_number(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak: dict[str, str] = {}
    monkeypatch.setattr("adapters.inbound.http.orders.order_view", lambda *_: leak["the password is hunter2"])
    answer = await shop.call("POST", "/v1/orders", order())
    assert (answer.status_code, code_of(answer)) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert "KeyError" not in answer.text
