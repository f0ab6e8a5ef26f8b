# `make demo` and `make test` do everything on a fresh machine; `make` alone lists the targets.
# STACK=onedl in front of any of them takes the onedl forks instead, in .venv-onedl. CUDA=12|13|cpu and OPS=0 say what
# `make env` installs (docs/install.md); it remembers them.
# Whether a person named the Python; before it gets its default.
PYTHON_GIVEN := $(if $(filter undefined,$(origin PYTHON)),,1)
PYTHON ?= python3
WORKERS ?= 2
STACK ?= official
VENV := .venv$(filter-out -official,-$(STACK))
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=20

.DEFAULT_GOAL := help
.PHONY: help env demo test test-all test-isa lint format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

env:  ## make, check or repair the environment (some minutes the first time, then seconds)
	@MMRBDC_PYTHON_GIVEN=$(PYTHON_GIVEN) $(PYTHON) tools/dev/start.py "$(STACK)"

demo: env  ## RBDC against training from scratch on handwritten digits, with Mask R-CNN (15 min on 2 cores)
	@$(BIN)/python tools/demo.py

test: env lint  ## lint and all fast tests (what CI runs)
	$(PYTEST)

test-all: env lint  ## lint and all tests that need no GPU, the slow ones too
	$(PYTEST) -m 'not gpu' --timeout 3600

test-isa: env  ## the numeric tests as older and newer processors compute (30 min on 2 cores)
	@$(BIN)/python tools/dev/test_isa.py -n $(WORKERS) --dist loadfile

lint: env  ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: env  ## let ruff rewrite what it can
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

clean:  ## remove all environments and caches, not data/ and work_dirs/
	rm -rf .venv .venv-onedl .venv-removing .venv-onedl-removing .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find mmrbdc tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +
