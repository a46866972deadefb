# Every target sets up what it needs by itself; `make demo` and `make test` are all a newcomer types.
PYTHON ?= python3
BIN := .venv/bin
NEEDS_PYTHON := import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=" if sys.version_info < (3, 11) else 0)

.PHONY: demo test test-fast lint types bench bench-storage bench-errors bench-alerts bench-resources bench-verdict screenshot format clean

demo: .venv/demo
	@$(BIN)/watchkeeper demo $(ARGS)

test: .venv/dev
	$(BIN)/pytest $(ARGS)

test-fast: .venv/dev
	$(BIN)/pytest tests/core -p no:cacheprovider $(ARGS)

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: .venv/dev
	$(BIN)/mypy
	$(BIN)/pyright

bench: .venv/dev
	@$(BIN)/python bench/recording.py $(ARGS)

bench-storage: .venv/dev
	@$(BIN)/python bench/storage.py $(ARGS)

bench-errors: .venv/dev
	@$(BIN)/python bench/errors.py $(ARGS)

bench-alerts: .venv/dev
	@$(BIN)/python bench/alerts.py $(ARGS)

bench-resources: .venv/dev
	@$(BIN)/python bench/resources.py $(ARGS)

bench-verdict: .venv/dev
	@$(BIN)/python bench/verdict.py $(ARGS)

screenshot: .venv/dev
	$(BIN)/python scripts/screenshot.py

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv build dist

.venv/bin/python:
	@$(PYTHON) -c '$(NEEDS_PYTHON)'
	$(PYTHON) -m venv .venv

# Pinned with hashes; the project itself goes on top without dependencies.
.venv/demo: requirements/demo.txt pyproject.toml | .venv/bin/python
	@test -e .venv/dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
