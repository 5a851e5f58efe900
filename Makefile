# Each target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest
CLUSTER := $(BIN)/python -m tests.cluster
READY := $(VENV)/.ready

.PHONY: help demo test check lint types layers test-unit test-contract test-crash test-cluster format bench \
        cluster-up cluster-down cluster-status cluster-kubeconfig cluster-bin cluster-install requirements setup clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: $(READY) ## A job is killed in front of your eyes and goes on: no cluster, no root
	@$(BIN)/python examples/demo.py

test: check test-unit test-contract test-crash test-cluster ## Everything: lint, types, layers, unit, every store, the real cluster
	@echo "make test: everything passed"

check: lint types layers ## The fast checks: lint, types, layers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-unit: $(READY) ## Pure parts, the SDK with real processes, the local backend, the examples
	$(PYTEST) tests/unit tests/sdk tests/typing tests/local tests/examples

test-contract: $(READY) ## One suite on every store: SQLite, PostgreSQL and MariaDB (started by the tests), HTTP
	$(PYTEST) tests/contract tests/faults

test-crash: $(READY) ## Every call of the store x every fault, as real processes; CRASH_MATRIX=full for the whole matrix on all stores
	$(PYTEST) tests/crash

test-cluster: $(READY) cluster-install ## A real Kubernetes: drain, kill, OOM, lost node, rollout
	$(PYTEST) tests/test_cluster_harness tests/e2e

bench: $(READY) ## Side by side with the raw limit and with DBOS, as ratios; writes benchmarks/RESULTS.md
	@$(BIN)/python -c "import dbos" 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check -e ".[bench]"
	$(BIN)/python -m benchmarks

cluster-up: $(READY) ## Build (once) and start the test cluster; reuses a healthy one
	@$(CLUSTER) up

cluster-down: $(READY) ## Stop the test cluster and leave nothing behind
	@$(CLUSTER) down

cluster-status: $(READY) ## Is it up, and where are its logs
	@$(CLUSTER) status

cluster-kubeconfig: $(READY) ## Print the kubeconfig's path (make -s)
	@$(CLUSTER) kubeconfig

cluster-bin: $(READY) ## Print the folder of kubectl and helm (make -s)
	@$(CLUSTER) bin

cluster-install: $(READY) cluster-up ## Build and load the images, install the operator with Helm
	@$(CLUSTER) install

setup: $(READY) ## The virtual environment only

$(READY): requirements/dev.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

requirements: $(READY) ## Resolve the pinned development requirements anew
	@scripts/pin-requirements.sh $(BIN)

clean: ## Remove the virtual environment and caches of this checkout (not the cluster's build cache)
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
