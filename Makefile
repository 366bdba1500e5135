# Two commands matter to a newcomer: `make demo` and `make test`. Both need Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
UPGRADE ?= --upgrade
# As many workers as the machine has cores; each has its own PostgreSQL and its own gateways. ARGS=-n0 runs in one process.
WORKERS := -n logical --maxprocesses 8 --dist worksteal

# Tests and demo start the gateway tens of times; without compiled modules each start compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test scale lint bench fuzz lock diagram clean

help:
	@echo 'make demo [ARGS=--keep]  the whole story on embedded defaults, real files, real clients'
	@echo 'make test [ARGS=...]     the whole test suite, on every core; ARGS=-n0 in one process'
	@echo 'make scale               3,000 and 10,000 small files the whole way, with figures; minutes'
	@echo 'make lint                ruff, mypy --strict, import-linter'
	@echo 'make bench               timings, as ratios against a peer in the same run'
	@echo 'make lock [UPGRADE=]     resolve pyproject.toml into requirements.lock again; with UPGRADE= only what is new changes'
	@echo 'make fuzz [ARGS=...]     an hour of fuzzing over every parser, going on from where the last run ended'
	@echo 'make diagram             redraw the lifecycle in gateway/ARCHITECTURE.md'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

demo: $(READY)
	$(BIN)/hetao demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

scale: $(READY)
	$(BIN)/python -m tests.bench folders $(or $(ARGS),3000 10000)

# atheris is for Linux and CPython up to 3.13, and so stays out of the lock that everybody installs.
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/fuzz/requirements.lock
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

diagram: $(READY)
	$(BIN)/python -m gateway.cli.diagram

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra dev --universal --python-version 3.11 $(UPGRADE) \
	  --no-strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	  --custom-compile-command 'make lock' --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
