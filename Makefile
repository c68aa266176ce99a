# Two commands to begin with:   make demo   make test
# Everything lives in .venv; nothing outside this folder is touched, but for Debian's chromium when
# `make test` runs as root on a machine without it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help demo test check long bench docs pin browser clean

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

help:
	@echo "make demo    a real system once round the circle: nine months of flights, a report at the end"
	@echo "make test    all tests but the long ones"
	@echo "make check   what CI runs: import rules, ruff, mypy, make test, the demo in its short form"
	@echo "make long    the long proofs"
	@echo "make bench   the benchmarks; writes benchmarks/RESULTS.md"
	@echo "make docs    writes the reference pages that are made from the code"
	@echo "make pin     writes constraints.txt from what is installed"

demo: $(VENV)/.demo
	$(BIN)/kring demo

test: $(VENV)/.dev browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not long"

check: $(VENV)/.dev
	$(BIN)/lint-imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(MAKE) --no-print-directory test
	place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; $(BIN)/kring demo --short --out "$$place/demo"

long: $(VENV)/.dev browser
	$(BIN)/python -m pytest -m long

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/.dev
	$(BIN)/python scripts/reference.py

pin: $(VENV)/.dev
	$(BIN)/python scripts/pin.py

browser:
	@bash scripts/browser.sh

clean:
	rm -rf $(VENV) kring-demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# One environment in two steps: what the demo needs, and on top of it what the tests need.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Kring needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "This Python has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) --editable ".[demo,dev,sign,boosting,tune,grpc,explain,otel]"
	@touch $@
