# Thin: each target is what a user would type in the activated .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
RAW := data/raw/churn.csv
# A pyenv shim may exist without its Python: ask each candidate to run.
PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.version_info[:2] in ((3, 11), (3, 12)) and print("$(p)")' 2>/dev/null)))
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make pins" pyproject.toml

.PHONY: help install run serve data test lint format pins viz bench clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## make .venv from the hashed pins

.venv/installed: requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found. Install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r <(awk '/^[^ #]/{keep=/^uv==/} keep' requirements-dev.txt)
	@PATH="$$PATH:$(CURDIR)/$(BIN)"; uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt \
	  && uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: install     ## raw table to champion: the sample table if there is none, then every pipeline
	@test -e $(RAW) || $(BIN)/kedro run --pipelines sample_data
	@$(BIN)/kedro run
	@$(BIN)/churn summary

serve: install   ## the API on port 8000
	@$(BIN)/uvicorn serving.app:app --port 8000

data: install    ## fetch IBM's real telco table
	@$(BIN)/churn fetch

test: install    ## every test
	@$(BIN)/python -m pytest --cov --cov-report= -n 2 --dist loadfile --ignore tests/serving
	@$(BIN)/python -m pytest --cov --cov-append --cov-report=term:skip-covered tests/serving  # alone: it measures servers under load

lint: install    ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

pins: install    ## compile the lock from pyproject.toml
	@$(COMPILE) --extra dev --output-file requirements-dev.txt
	@$(COMPILE) --extra pipelines --constraint requirements-dev.txt --output-file requirements.txt
	@$(COMPILE) --extra serving --constraint requirements-dev.txt --output-file requirements-serving.txt
	@$(COMPILE) --extra tracking --constraint requirements-dev.txt --output-file requirements-tracking.txt

viz: install     ## the graph of the pipelines, on port 4141
	@$(BIN)/kedro viz run

bench: install   ## the benchmarks (minutes to an hour)
	@$(BIN)/python -m benchmarks

clean:           ## remove what runs have produced; the raw table stays
	rm -rf data/processed/* data/features/* data/models/* data/reports/* data/mlflow
