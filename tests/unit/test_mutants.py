"""The table of mutants fits the tree: what `make mutants` would only find out half an hour later."""

import re
from collections import Counter
from pathlib import Path

import pytest

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
