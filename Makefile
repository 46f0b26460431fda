# make demo   learn five small tasks from scratch, in about three minutes
# make test   run the tests
# Both make a virtual environment in .venv on first use.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/.run
	$(BIN)/python -m tfcl.train --gin_file=gin/lasem_digits.gin \
	  --data_dir=runs/data --model_dir=runs/demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.run
	$(BIN)/python -m pip install -q -r requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
