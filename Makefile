# What a person types. `make` alone lists it. Everything is installed into .venv from hashed lock files; a second call is quick.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check -qq
# The tests run in one process per core; TESTS narrows them: make test TESTS="tests/render -k atom".
TESTS ?=
# Some images forbid compiled files, and every process that a test starts would compile the whole package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test lint bench lock migration

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: .venv/.installed ## Watch the whole promise happen on this machine (ONCE=1: end by itself)
	@$(BIN)/syndicator demo $(if $(ONCE),--once)

run: .venv/.installed config.toml ## Serve with the settings in config.toml
	@$(BIN)/syndicator --config config.toml serve

test: .venv/.developing ## Run every test, on real servers (TESTS="…": some of them)
	@sh .ci/system postgresql postgresql-client redis-server chromium nginx openssh-server systemd util-linux
	@$(BIN)/pytest --numprocesses=auto --dist=worksteal -o faulthandler_timeout=300 $(TESTS)

lint: .venv/.developing ## Check style, format and types
	@$(BIN)/ruff check --quiet --output-format=concise .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy -p syndicator -p tests -p benchmarks
	@$(BIN)/mypy .ci/migration.py

bench: .venv/.developing ## Measure what the README claims about speed
	@$(BIN)/python -m benchmarks

lock: .venv/.developing ## Pin what pyproject.toml asks for (UPGRADE=1: in the newest versions)
	@$(PIP) install uv
	@sh .ci/lock requirements.lock $(if $(UPGRADE),--upgrade)
	@sh .ci/lock requirements-dev.lock --group dev $(if $(UPGRADE),--upgrade)

migration: .venv/.developing ## Rewrite the first migration from the models (SAYS="…": add the next one instead)
	@$(BIN)/python .ci/migration.py $(SAYS)

config.toml:
	@cp config.example.toml $@

config.example.toml: syndicator/config.py
	@$(BIN)/python -c 'from syndicator.config import example_toml; print(end=example_toml())' >$@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one, such as: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh .ci/system python3-venv
	@echo "Making .venv; the first time takes a minute or two" >&2
	@$(PYTHON) -m venv --clear .venv

# The package is linked, not copied, and built with the locked setuptools, so nothing is fetched but what the lock names.
.venv/.installed: requirements.lock pyproject.toml .venv/bin/pip
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.developing: requirements-dev.lock .venv/.installed
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
