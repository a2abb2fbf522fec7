# `make demo` and `make test` are all that one needs to know; each does its own set-up.
.DEFAULT_GOAL := help
.PHONY: help demo demo-live test check lint types unit live docs lock audit clean

VENV := .venv
BIN := $(VENV)/bin
# The newest Python that fits, or the one named: make test PYTHON=/path/to/python3.12
PYTHON ?= $(shell for v in 3.14 3.13 3.12 3.11; do p=$$(command -v python$$v) && $$p -c '' 2>/dev/null && echo $$p && exit; done; command -v python3)
JOBS ?= 2
# Hundreds of tests start a program: without its bytecode each of them would compile it anew.
export PYTHONDONTWRITEBYTECODE =

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/runtime: hack/constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gwdoctor needs Python 3.11 or newer; $(PYTHON) is older. Name one: make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing gwdoctor into $(VENV) ..." >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r hack/constraints.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/runtime hack/constraints-dev.txt
	@echo "installing the test tools into $(VENV) ..." >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r hack/constraints-dev.txt
	@touch $@

demo: $(VENV)/runtime ## scan a recorded cluster that has all five failures
	@$(BIN)/gwdoctor demo; code=$$?; test $$code -le 1   # 1 says that it found something

demo-live: $(VENV)/dev ## the same on a real control plane, started for it
	@hack/demo-live

test: lint types ## lint, types and all tests, on the real control plane
	@$(BIN)/python -m pytest -q -n $(JOBS)

check: lint types ## the quick loop: the same without the control plane
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "not live and not slow"

lint: $(VENV)/dev
	@$(BIN)/ruff format --check -q . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check -q .

types: $(VENV)/dev
	@$(BIN)/mypy --no-error-summary

docs: $(VENV)/dev ## write anew what is made from the code
	@$(BIN)/python -m gwdoctor.docs

lock: $(VENV)/dev ## pin the dependencies anew
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --group build -o hack/constraints.txt pyproject.toml
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --group dev -c hack/constraints.txt -o hack/constraints-dev.txt pyproject.toml
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --group freeze -c hack/constraints.txt -o hack/constraints-freeze.txt
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --group audit -c hack/constraints.txt -c hack/constraints-dev.txt -o hack/constraints-audit.txt

audit: $(VENV)/dev ## ask PyPI for known weaknesses of all that is pinned; no answer is no pass
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r hack/constraints-audit.txt
	@hack/audit

clean: ## take away what was installed and built here
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dist
