# Each command sets up what it needs in a virtual environment, .venv.
PYTHON ?= python3
BIN := .venv/bin
# Small molecules gain little from several threads, and on a busy machine lose much by them.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test clean

demo: .venv/installed
	$(BIN)/molnet demo

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --cov=molnet --cov-report=term --cov-fail-under=90

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv runs build *.egg-info
