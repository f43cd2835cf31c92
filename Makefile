# `make run` qualifies this machine, `make test` runs every test. Both build .venv first; nothing else is needed than
# Python 3.11 or newer (with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?= --duration 30s

.DEFAULT_GOAL := help
.PHONY: help setup run test lint check bench bench-detectors drill test-gpu clean

help:           ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: .venv/ready ## build .venv with the pinned versions of constraints.txt

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fryer needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "this Python can't build a venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: setup      ## qualify this machine: fryer run --nodes localhost (ARGS="--duration 30s")
	$(BIN)/fryer run --nodes localhost $(ARGS)

test: setup     ## run every test
	$(BIN)/pytest

check: lint test ## what CI runs: lint, types, layers, tests

lint: setup     ## ruff format, ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup    ## measure the budgets of README as ratios in one run
	$(BIN)/python -m bench

bench-detectors: setup ## detectors of training against published rules; writes docs/detector-benchmark.md
	$(BIN)/python -m bench.detectors

drill: setup    ## drill the daemon for long: kill -9, hung NVML, storms of lines, full disk; prints the figures
	FRYER_DRILL=1 $(BIN)/pytest -m drill -s -p no:cacheprovider

test-gpu: setup ## the checks that need an NVIDIA GPU
	$(BIN)/pytest tests/gpu -m gpu -p no:cacheprovider

clean:          ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
