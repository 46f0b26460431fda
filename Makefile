# make demo   learn five small tasks from scratch, in about three minutes
# make test   run the tests
# make docs   build the documentation site into site/
# All make a virtual environment in .venv on first use.
# make lock   write requirements*.txt anew: the newest versions that
#             pyproject.toml allows, with hashes, for Python 3.10 to 3.13

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LOCK = $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.10 \
  --generate-hashes --no-annotate --no-strip-extras \
  --custom-compile-command "make lock"

.PHONY: demo test lint docs lock clean

demo: $(VENV)/.run
	$(BIN)/python -m tfcl.train --gin_file=gin/lasem_digits.gin \
	  --data_dir=runs/data --model_dir=runs/demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What the site's tools say of their own future is no fault of a page.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true \
	  $(BIN)/mkdocs build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.run
	$(BIN)/python -m pip install -q -r requirements-test.txt
	touch $@

lock: $(VENV)/bin/python
	$(BIN)/python -m pip install -q uv
	$(LOCK) --extra demo --extra search pyproject.toml -o requirements.txt
	$(LOCK) --extra test -c requirements.txt pyproject.toml \
	  -o requirements-test.txt
	$(LOCK) --extra docs -c requirements-test.txt pyproject.toml \
	  -o requirements-docs.txt

$(VENV)/.docs: requirements-docs.txt $(VENV)/.run
	$(BIN)/python -m pip install -q -r requirements-docs.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
