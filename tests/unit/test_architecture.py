"""The house rules that a machine can keep, and the proof that each one bites."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
CORE = {"domain": {"domain"}, "application": {"domain", "application"}}
MOST_LINES = 400
CLOCKS = "now|utcnow|today"


def sources(package: str = "") -> list[Path]:
    return sorted((SRC / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def foreign(code: str, house: set[str]) -> set[str]:
    return set(imported(ast.parse(code))) - sys.stdlib_module_names - house


def reads_environment(code: str) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    if not any(name in code for name in names):
        return False  # without parsing it: most files
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
            return True
    return False


@pytest.mark.parametrize("package", CORE)
def test_the_core_imports_the_standard_library_only(package: str) -> None:
    offences = {str(path.relative_to(SRC)): foreign(path.read_text(), CORE[package]) for path in sources(package)}

    assert not {path: names for path, names in offences.items() if names}


@pytest.mark.parametrize(
    "code", ["import sqlalchemy", "def f():\n    from msgspec import json", "import adapters.inbound"]
)
def test_a_foreign_import_is_noticed_wherever_it_stands(code: str) -> None:
    assert foreign(code, {"domain"})
    assert not foreign("import datetime\nfrom domain.money import Money", {"domain"})


def test_nobody_but_bootstrap_reads_the_environment() -> None:
    assert not [
        str(path.relative_to(SRC))
        for path in sources()
        if path.relative_to(SRC).parts[0] != "bootstrap" and reads_environment(path.read_text())
    ]


@pytest.mark.parametrize("code", ["import os\nos.environ['X']", "import os\nos.getenv('X')", "from os import environ"])
def test_reading_the_environment_is_noticed_in_every_spelling(code: str) -> None:
    assert reads_environment(code)
    assert not reads_environment("import os\nos.getpid()\nenviron = request.environ")


def test_no_file_is_longer_than_one_can_keep_in_mind() -> None:
    lines = {str(path.relative_to(SRC)): len(path.read_text().splitlines()) for path in sources()}

    assert not {path: count for path, count in lines.items() if count > MOST_LINES}


def read_at_import(tree: ast.AST) -> Iterator[str]:
    """The clock readings that run when a module is imported, not when something in it is called."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        arguments = [*tree.args.defaults, *(default for default in tree.args.kw_defaults if default)]
        parts: Iterable[ast.AST] = [*getattr(tree, "decorator_list", []), *arguments]
    else:
        parts = ast.iter_child_nodes(tree)
    if isinstance(tree, ast.Call):
        name = getattr(tree.func, "attr", getattr(tree.func, "id", ""))
        if name in CLOCKS.split("|") or (name == "time" and not tree.args):
            yield ast.unparse(tree)
    for part in parts:
        yield from read_at_import(part)


def test_no_test_and_no_module_keeps_the_time_of_its_import() -> None:
    """A long run outlives it: what was now at collection is past every tolerance when the last tests run."""
    files = [*sources(), *sorted((ROOT / "tests").rglob("*.py"))]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    # Reading a clock of ours is a method of an object that no module holds, and time with arguments is none.
    suspects = {path: text for path, text in texts.items() if re.search(rf"(?<!clock)\.({CLOCKS})\(|\btime\(\)", text)}
    offences = {path: [*read_at_import(ast.parse(text))] for path, text in suspects.items()}

    assert not {path: calls for path, calls in offences.items() if calls}


@pytest.mark.parametrize(
    "code",
    [
        "NOW = datetime.now(UTC).replace(microsecond=0)",
        "class A:\n    at = time.time()",
        "def f(at=date.today()): ...",
        "@parametrize([(datetime.now(UTC), 1)])\nasync def f(): ...",
    ],
)
def test_a_time_taken_at_import_is_noticed_wherever_it_stands(code: str) -> None:
    assert [*read_at_import(ast.parse(code))]
    harmless = "NOON = time(12, 0)\ndef f():\n    return datetime.now(UTC)\ng = lambda: time.time()"
    assert not [*read_at_import(ast.parse(harmless))]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree, to offend in."""
    copy = tmp_path_factory.mktemp("copy") / "src"
    shutil.copytree(SRC, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """import-linter in a process of its own: in ours it would look at the packages that are already imported."""
    command = "import sys; from importlinter.cli import lint_imports; sys.path.insert(0, '.'); sys.exit(lint_imports("
    command += "config_filename=sys.argv[1], limit_to_contracts=tuple(sys.argv[2:]), cache_dir=None))"
    words = [sys.executable, "-c", command, str(ROOT / "pyproject.toml"), *contracts]
    plain = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(words, cwd=tree, env=plain, capture_output=True, text=True, check=False)


def test_the_source_keeps_every_import_contract() -> None:
    report = lint(SRC)

    assert report.returncode == 0, report.stdout + report.stderr


OFFENCES = [
    ("layers", {"domain/offence.py": "import application"}),
    ("layers", {"application/offence.py": "import adapters.inbound"}),
    ("layers", {"adapters/inbound/offence.py": "import adapters.outbound"}),
    ("layers", {"adapters/outbound/offence.py": "import bootstrap"}),
    ("adapters", {"adapters/outbound/offence.py": "import adapters.outbound.other", "adapters/outbound/other.py": ""}),
    ("sandbox", {"sandbox/offence.py": "from domain import money"}),
    ("world", {"application/offence.py": "import sandbox"}),
    ("container", {"application/offence.py": "from dependency_injector import containers"}),
    ("cycles", {"domain/offence.py": "import domain.other", "domain/other.py": "import domain.offence"}),
]


@pytest.mark.parametrize(("contract", "files"), OFFENCES, ids=lambda value: value if isinstance(value, str) else "")
def test_each_import_contract_is_broken_by_an_import_it_forbids(
    copy: Path, contract: str, files: dict[str, str]
) -> None:
    for name, code in files.items():
        (copy / name).write_text(f"{code}\n")
    try:
        report = lint(copy, contract)
    finally:
        for name in files:
            (copy / name).unlink()

    assert report.returncode == 1, report.stdout + report.stderr
    assert "BROKEN" in report.stdout
    assert "offence" in report.stdout
