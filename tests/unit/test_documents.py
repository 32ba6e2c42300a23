"""Documents that are drawn from the code say what the code says."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

from domain.attempts import ATTEMPT_TRANSITIONS, AttemptStatus
from domain.orders import ORDER_TRANSITIONS, OrderStatus
from tests.integration.ways import page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _draw() -> str:
    spec = importlib.util.spec_from_file_location("lifecycle", DOCS / "lifecycle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.draw())


def test_the_life_cycles_are_drawn_from_the_tables() -> None:
    assert (DOCS / "lifecycle.md").read_text(encoding="utf-8") == _draw(), "run: python docs/lifecycle.py"


def test_every_state_is_in_its_table_and_in_the_drawing() -> None:
    assert set(ORDER_TRANSITIONS) == set(OrderStatus)
    assert set(ATTEMPT_TRANSITIONS) == set(AttemptStatus)
    drawn = _draw()
    assert all(f" {state}" in drawn for state in (*OrderStatus, *AttemptStatus))


def test_the_table_of_ways_to_pay_is_drawn_from_the_test_ids() -> None:
    text = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert text == page(), (
        "run: python -c 'from tests.integration.ways import page; print(page(), end=\"\")' > docs/methods.md"
    )


@cache
def _defined(path: Path) -> frozenset[str]:
    """Every function and class of a file, by its name."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def test_each_defect_of_others_has_tests_that_exist_or_says_that_it_has_none() -> None:
    text = (DOCS / "channel-defects.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([JDR]\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert {key for key, _ in rows} == {
        f"{of}{n}" for of, last in (("J", 9), ("D", 8), ("R", 10)) for n in range(1, last + 1)
    }
    assert [row for row in rows if "::" not in row[1] and not row[1].startswith("no test yet")] == []
    inherited = {name for path in (ROOT / "tests" / "contracts").glob("*.py") for name in _defined(path)}
    ids = re.findall(r"`(tests/[^`]+)`", "\n".join(line for line in text.splitlines() if "::" in line))
    assert len(ids) > 90
    for id_ in ids:
        file, *classes, name = id_.split("::")
        path = ROOT / file
        assert path.is_file(), id_
        assert set(classes) <= _defined(path), id_
        assert name in (inherited if classes else _defined(path)), id_
