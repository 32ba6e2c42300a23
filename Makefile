# `make` prints this help. Everything runs from .venv, which `make` builds by itself from requirements.lock.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
UV_VERSION := 0.13.9
READY := .venv/.pitaya-ready
export UV_NO_PROGRESS := 1
# Images like to switch it off: the tests are compiled anew by each of their processes then, and so is each of the demo's.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-smoke test check audit bench bench-bills mutants lock venv clean

help: ## this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## the whole system in this terminal; Ctrl-C ends it
	@exec $(BIN)/pitaya demo

demo-smoke: $(READY) ## start the demo, pay by nine methods in it and refund, stop it
	@exec $(BIN)/pitaya demo --smoke

# The unit tests on all cores, and with them the walks over our documents, which need no server; what starts servers,
# or measures, has the machine to itself. The browser's apart: Playwright's synchronous interface leaves an event loop
# running, which pytest-asyncio refuses. What lives in real time may try once more, aloud: docs/decisions/0007.
AGAIN := --reruns 1 --max-suite-reruns 12 --rerun-show-tracebacks
WALKS := tests/integration/http/test_schemathesis.py
test: $(READY) ## every test: unit, contracts, integration, then the browser's
	@status=0; \
	$(BIN)/pytest -n auto --dist worksteal tests/unit $(WALKS) || status=$$?; \
	$(BIN)/pytest $(AGAIN) tests/simulation tests/integration --deselect $(WALKS) || status=$$?; \
	$(BIN)/pytest $(AGAIN) tests/browser || status=$$?; \
	exit $$status

check: $(READY) ## format, lint, types, layers, unit tests: what to run before every commit
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -n auto --hypothesis-profile=check tests/unit

# Needs pypi.org itself, not an index beside it; the tests need no network, so this is none of them.
audit: .venv/bin/uv ## ask PyPI's advisory database about every locked dependency
	@$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes -r requirements.lock

bench: $(READY) ## how fast the hot paths are, next to a bare handler
	@exec $(BIN)/python -m bench

bench-bills: $(READY) ## a million lines of a bill, read and matched, next to DuckDB
	@exec $(BIN)/python -m bench.bills

mutants: $(READY) ## break the code on purpose and see that a test notices
	@exec $(BIN)/python -m bench.mutants

# Universal: one file for every platform and Python >= 3.11. No address in it, so that any index may serve it.
lock: ## resolve pyproject.toml anew into requirements.lock
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory .venv/bin/uv
	echo 'uv==$(UV_VERSION)' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command 'make lock' --output-file requirements-uv.txt -
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --all-extras \
		--python-version 3.11 --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

venv: $(READY) ## the virtual environment alone

.venv/bin/uv: requirements-uv.txt
	@test -n '$(PYTHON)' || { echo 'Pitaya needs Python 3.11 or newer: none of python3, python3.11 … python3.14 is.' \
		'Install one, or name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo '$(PYTHON) has no venv module (Debian: apt-get install' \
		'python3-venv).' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

# Bytecode is compiled once, here: without it each of the demo's processes would spend seconds compiling at its start.
# The lock constrains builds too, so that what builds the one source package (python-alipay-sdk) is pinned and hashed.
.venv/.pitaya-locked: requirements.lock | .venv/bin/uv
	$(BIN)/uv pip sync --quiet --require-hashes --build-constraints requirements.lock --compile-bytecode requirements.lock
	@touch $@

$(READY): pyproject.toml .venv/.pitaya-locked
	$(BIN)/uv pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

clean: ## remove caches, the demo's state and the virtual environment
	rm -rf .venv .pitaya .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
