"""The table of mutants fits the tree: what `make mutants` would only find out half an hour later."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from application.ports.promises import PROMISES
from bench.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_each_mutant_has_its_place_and_its_test(mutant: Mutant) -> None:
    for edit in mutant.edits:
        text = (ROOT / edit.file).read_text()
        assert text.count(edit.old) == 1, f"not exactly once in {edit.file}: {edit.old!r}"
        assert edit.old != edit.new
    file, *names = mutant.test.split("::")
    # A class of tests may inherit them from a contract.
    texts = [(ROOT / file).read_text(), *(path.read_text() for path in (ROOT / "tests" / "contracts").glob("*.py"))]
    for name in names:
        word = re.compile(rf"^\s*(async def|def|class) {re.escape(name.partition('[')[0])}\b", re.MULTILINE)
        assert any(word.search(text) for text in texts), f"no {name} in {file}"


def test_each_mutant_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(mutant.name for mutant in mutants()).items() if count > 1] == []


def promised() -> dict[str, str]:
    """The promises of docs/reliability.md: id and sentence."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    return dict(re.findall(r"^\| ([MLRS]\d+) \| (.+) \|$", text, re.MULTILINE))


def test_the_promises_are_told_as_they_are_checked() -> None:
    assert promised().items() >= PROMISES.items()


def test_each_promise_has_a_mutant_and_each_mutant_breaks_a_promise() -> None:
    assert {mutant.promise for mutant in mutants()} == {*promised(), "imports"}


def test_each_import_contract_has_a_mutant() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["id"] for contract in pyproject["tool"]["importlinter"]["contracts"]}
    broken = [mutant.name.partition(":")[0] for mutant in mutants() if mutant.promise == "imports"]

    # "core" is ours: import-linter cannot say that a package imports the standard library only.
    assert {*broken} == contracts | {"core"}
