# Everything one does with a checkout. Needs GNU make 3.81 or newer, git and Python 3.11 to 3.14;
# `make demo` and `make test` make their own environment once and work offline afterwards.
#
#   PYTHON=python3.12   the interpreter a new environment is made with (default: the first that fits)
#   VENV=.venv          where the environment is
#   ARGS='-k risk'      more arguments for pytest, benchmarks or uv

VENV ?= .venv
PYTHON ?=
ARGS ?=

SHELL := /bin/sh
BIN := $(VENV)/bin
USER_READY := $(VENV)/.ready-user
DEV_READY := $(VENV)/.ready-dev
SUPPORTED := 3.11 3.12 3.13 3.14
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3.14 python3)
SOURCES := $(wildcard rebalancer signals run.py benchmarks tests tools)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --fork-strategy fewest --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --extra build

# An environment whose interpreter has gone (an upgraded system Python) is made anew.
GONE := $(if $(shell test -x $(BIN)/python && echo here),,gone)

.DEFAULT_GOAL := help
.PHONY: help demo demo-binance test test-pythons test-ib-async strangers rehearse mutants check format bench lock clean gone

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(USER_READY) ## Run the demonstration: hourly runs on real days, offline
	@$(BIN)/python run.py demo

demo-binance: $(USER_READY) ## The same at Binance: market-neutral perpetuals with protective stops
	@$(BIN)/python run.py demo --venue binance

test: $(DEV_READY) ## Run the test suite
	@$(BIN)/python -m pytest $(ARGS)

test-pythons: ## Run the test suite on every supported Python of this machine
	@failed=; \
	for version in $(SUPPORTED); do \
		found=; \
		for python in python$$version $(PYENV)/versions/$$version.*/bin/python; do \
			if $$python -c '$(FITS)' >/dev/null 2>&1; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "== Python $$version: not on this machine, skipped"; continue; \
		fi; \
		echo "== Python $$version"; \
		$(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON=$$found \
			|| failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on Python:$$failed" >&2; exit 1; fi

test-ib-async: $(DEV_READY) ## Run the tests of what speaks to IB with ib_async in place of ib_insync
	@$(BIN)/python tests/foreign suite $(ARGS)

strangers: $(DEV_READY) ## Run foreign clients against the simulated venues (ARGS=--all: the Node ones too)
	@$(BIN)/python tests/foreign $(ARGS)

rehearse: $(USER_READY) ## Let everything go wrong in thousands of schedules (ARGS='--schedules 20000')
	@$(BIN)/python run.py rehearse $(if $(ARGS),$(ARGS),--schedules 1000)

mutants: $(DEV_READY) ## Change planning/ and risk/ in small ways: does a test notice? (hours; resumable)
	@$(BIN)/python -m tools.mutation $(ARGS)

check: $(DEV_READY) ## Check format, style, types and import rules
	@$(BIN)/ruff format --quiet --check $(SOURCES) || { echo "Try: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-cache --no-logo

format: $(DEV_READY) ## Format the code and sort the imports
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --select I --fix $(SOURCES)

bench: $(USER_READY) ## Measure what we claim about speed
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(DEV_READY) ## Renew the locks from pyproject.toml (needs a network; ARGS=--upgrade for newer releases)
	@$(LOCK) $(ARGS) --output-file requirements.lock
	@$(LOCK) $(ARGS) --extra test --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock

clean: ## Remove environments and caches (never state/)
	rm -rf .venv .venv-strangers .venv-3.* build dist *.egg-info mutants
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment serves both: the development lock holds the user's lock and more.
$(USER_READY): requirements.lock $(GONE)
	@$(make_venv)
	@$(call install,requirements.lock)
	@touch $@

$(DEV_READY): requirements-dev.lock requirements.lock $(GONE)
	@$(make_venv)
	@$(call install,requirements-dev.lock)
	@touch $(USER_READY) $@

gone:

define make_venv
if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	found=; unfit=; \
	for python in $(CANDIDATES); do \
		$$python -c '$(FITS)' >/dev/null 2>&1 || continue; \
		if $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; break; fi; \
		unfit=$$python; \
	done; \
	if [ -z "$$found" ] && [ -n "$$unfit" ]; then \
		echo "$$unfit cannot make environments: its modules venv and ensurepip are missing." >&2; \
		echo "On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
		echo "No Python 3.11 to 3.14 among: $(CANDIDATES)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version 2>&1)"; \
	rm -rf "$(VENV)" && $$found -m venv "$(VENV)"; \
fi
endef

define install
echo "Installing $(1) into $(VENV) (once, a minute or two)"; \
$(PIP) install --require-hashes -r $(1) && \
$(PIP) install --no-deps --no-build-isolation --editable .
endef
