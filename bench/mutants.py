"""Break the code on purpose, one promise at a time, and see that the test which guards the promise fails.

The table is mutants/*.toml, a file an area: what is broken, where, which promise that breaks, and the test that must
notice. Promises M, L, S, R are those of docs/reliability.md; "imports" are the import contracts of pyproject.toml, and
the names of these begin with the contract's id. ``old`` stands in ``file`` exactly once; ``more`` are further edits of
the same bug, where a promise is kept in several places on purpose.

Every mutant is applied to a copy of the tree in a temporary directory, never here. Unbroken, all the named tests must
pass there; broken, the mutant's own test must fail, by an assertion and not for want of a module. Ends with status 1 if
a mutant survives: then a promise has no test.
"""

import argparse
import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bootstrap.embedded import temporary_postgres

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix("")
PROCESSES = 2
WITHIN = 300.0  # seconds for one mutant's test; one that hangs does not count as killed
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".pitaya", "__pycache__", ".*_cache", ".hypothesis", "dist")
_FAILED = re.compile(r"\b[1-9]\d* failed\b|^=+ FAILURES =+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` stands in ``file`` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug and the test that must notice it."""

    promise: str
    name: str
    test: str
    edits: tuple[Edit, ...]


def mutants() -> list[Mutant]:
    """The table, all areas together."""
    return [
        Mutant(
            promise=row["promise"],
            name=row["name"],
            test=row["test"],
            edits=tuple(Edit(part["file"], part["old"], part["new"]) for part in (row, *row.get("more", ()))),
        )
        for file in sorted(TABLE.glob("*.toml"))
        for row in tomllib.loads(file.read_text())["mutant"]
    ]


class Tree:
    """A copy of the checkout to do damage in."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root = root
        self._environment = {
            **os.environ,
            # Before what the virtual environment says of the editable install: the copy is what is tested.
            "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root))),
            "PYTHONDONTWRITEBYTECODE": "",  # keep it: compiling the tests takes longer than most of them
            "PITAYA_TEST_DATABASE_URL": database_url,
        }

    def test(self, *ids: str) -> tuple[int | None, str]:
        """pytest's exit status (None: it hung and was ended) and what it printed."""
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", *ids]
        process = subprocess.Popen(
            words,
            cwd=self.root,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=WITHIN * max(1, len(ids) / 10))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]
        return process.returncode, output

    def tests_itself(self) -> bool:
        """Whether imports really come from this copy."""
        code = "import application, tests.fakes as fakes; print(application.__file__, fakes.__file__)"
        words = [sys.executable, "-c", code]
        shown = subprocess.run(words, cwd="/", env=self._environment, capture_output=True, text=True, check=True).stdout
        return all(path.startswith(str(self.root)) for path in shown.split())

    @contextmanager
    def broken(self, mutant: Mutant) -> Iterator[None]:
        """The copy with this damage. Raises ValueError when the text to be replaced is not there exactly once."""
        before: dict[Path, tuple[str, os.stat_result]] = {}
        try:
            for edit in mutant.edits:
                path = self.root / edit.file
                text = path.read_text()
                if text.count(edit.old) != 1:
                    raise ValueError(f"{mutant.name}: found {text.count(edit.old)} times in {edit.file}: {edit.old!r}")
                before.setdefault(path, (text, path.stat()))
                path.write_text(text.replace(edit.old, edit.new))
                # Another time than the compiled file remembers, or Python would run the unbroken one; and later that.
                os.utime(path, (time.time() + 60, time.time() + 60))
            yield
        finally:
            for path, (text, status) in before.items():
                path.write_text(text)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="run only mutants whose promise or name contains one of these words")
    only = parser.parse_args(argv).only
    chosen = [
        mutant for mutant in mutants() if not only or any(word in f"{mutant.promise} {mutant.name}" for word in only)
    ]
    began = time.monotonic()
    with temporary_postgres() as server, _trees(server.url()) as trees:
        if not all(tree.tests_itself() for tree in trees):
            print("the tests would not run on the copy: the editable install comes first")
            return 1
        status, output = trees[0].test(*sorted({mutant.test for mutant in chosen}))
        if status != 0:
            print(f"{output}\nunbroken, the tests do not pass: nothing can be said of mutants")
            return 1
        fates = _all(chosen, trees)
    _report(chosen, fates, time.monotonic() - began)
    return 0 if all(fate == "killed" for fate, _ in fates) else 1


@contextmanager
def _trees(database_url: str) -> Iterator[list[Tree]]:
    with tempfile.TemporaryDirectory(prefix="pitaya-mutants-") as directory:
        trees = []
        for number in range(PROCESSES):
            root = Path(directory) / str(number)
            shutil.copytree(ROOT, root, ignore=_NOT_COPIED, symlinks=True)
            compileall.compile_dir(root / "src", quiet=2)
            trees.append(Tree(root, database_url))
        yield trees


def _all(mutants: Sequence[Mutant], trees: Sequence[Tree]) -> list[tuple[str, str]]:
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> tuple[str, str]:
        tree = free.get()
        try:
            fate = _fate(tree, mutant)
        finally:
            free.put(tree)
        print(f"{fate[0]:9} {mutant.promise:4} {mutant.name}", flush=True)
        return fate

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(one, mutants))


def _fate(tree: Tree, mutant: Mutant) -> tuple[str, str]:
    try:
        with tree.broken(mutant):
            status, output = tree.test(mutant.test)
    except ValueError as mistake:
        return "STALE", str(mistake)
    if status == 1 and _FAILED.search(output):
        return "killed", ""
    if status == 0:
        return "SURVIVED", ""
    return ("HUNG" if status is None else "INVALID"), output[-1500:]


def _report(mutants: Sequence[Mutant], fates: Sequence[tuple[str, str]], seconds: float) -> None:
    print(f"\n{'promise':8}{'mutant':80}{'fate':10}killed by")
    for mutant, (fate, _) in sorted(zip(mutants, fates, strict=True), key=lambda pair: pair[0].promise):
        print(f"{mutant.promise:8}{mutant.name:80}{fate:10}{mutant.test.removeprefix('tests/')}")
    for mutant, (fate, detail) in zip(mutants, fates, strict=True):
        if detail:
            print(f"\n{fate}: {mutant.name}\n{detail}")
    killed = sum(fate == "killed" for fate, _ in fates)
    print(f"\n{killed} of {len(mutants)} mutants killed in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
