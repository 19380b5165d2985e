# Thin: each target is what a user would type in the activated .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
ALONE := serving stack services containers# tests of servers that have to answer in time
# A pyenv shim may exist without its Python: ask each candidate to run.
PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.version_info[:2] in ((3, 11), (3, 12)) and print("$(p)")' 2>/dev/null)))
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make pins" pyproject.toml

.PHONY: help install run serve data data-push data-pull data-put simulate test lint format pins viz bench stack stack-down backup restore clean

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
	@$(BIN)/churn sample
	@$(BIN)/kedro run
	@$(BIN)/churn summary

serve: install   ## the API and the page on port 8000
	@$(BIN)/uvicorn serving.app:app --port 8000 --no-access-log

data: install    ## fetch IBM's real telco table
	@$(BIN)/churn fetch

test: install    ## every test
	@$(BIN)/python -m pytest --cov --cov-report= -n 2 --dist loadfile --no-loadscope-reorder $(addprefix --ignore tests/,$(ALONE))
	@$(BIN)/python -m pytest --cov --cov-append --cov-report=term:skip-covered $(addprefix tests/,$(ALONE))

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
	@$(COMPILE) --extra serving --extra page --constraint requirements-dev.txt --output-file requirements-page.txt
	@$(COMPILE) --extra tracking --constraint requirements-dev.txt --output-file requirements-tracking.txt

simulate: install ## months of traffic with a known change, judged
	@$(BIN)/churn simulate --scenario customer-mix

stack:           ## the full stack in containers; .env is written once
	@docker/stack.sh up

stack-down:      ## end it; its data stays
	@docker/stack.sh down

backup:          ## the stack's state, into backups/ or BACKUP=folder
	@docker/backup.sh backup $(BACKUP)

restore:         ## a backup into the running stack: BACKUP=folder
	@docker/backup.sh restore $(BACKUP)

data-push: install ## a version of the raw table, and of a sample of it (DVC)
	@docker/data.sh push

data-pull: install ## the committed version of it; SAMPLE=1: the sample
	@docker/data.sh $(if $(SAMPLE),pull-sample,pull)

data-put: install ## the raw table into the stack
	@docker/data.sh put

viz: install     ## the graph of the pipelines, on port 4141
	@$(BIN)/kedro viz run

bench: install   ## the benchmarks (some hours)
	@$(BIN)/python -m benchmarks

clean:           ## remove what runs have produced; the raw table and data/serving stay
	rm -rf data/processed/* data/features/* data/models/* data/reports/* data/mlflow data/sample
