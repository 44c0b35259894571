# Everything a developer or an operator does, by name. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The deployed functions' Python where it is found, else an older one that runs everything but packaging.
ifeq ($(origin PYTHON),undefined)
PYTHON = $(eval PYTHON := $$(firstword $$(shell .ci/interpreters)))$(PYTHON)
endif
VENV ?= .venv
BIN := $(VENV)/bin
STAGE ?= eu1
# Tests and commands start many processes. Without compiled files each of them would compile the product again.
unexport PYTHONDONTWRITEBYTECODE
WORKERS ?= 2
# One lock serves every platform. It names no index.
LOCK := --universal --generate-hashes --no-header --no-annotate --no-emit-index-url
.PHONY: help setup run demo test check bench package rehearse deploy lock advisories regions law-pages api-texts clients schemathesis pictures soak load deaths fuzz parts home clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Make .venv from the pinned requirements

$(VENV)/.ready: requirements.lock
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.13, 3.12 or 3.11 is needed and none is found. Set PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "Installing the pinned requirements into $(VENV) with $$($(BIN)/python --version) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

run: setup ## Run a whole cell on this machine (PORT=8080 ENGINE=moto STATE=dir)
	@$(BIN)/python cli.py local --port $(or $(PORT),8080) $(if $(STATE),--engine ministack --state $(STATE))

demo: setup ## Show the main job, end to end, on the embedded engine
	@$(BIN)/python -m infra.demo

test: setup ## Run every test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

check: setup ## Run linters, type checks and template checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m infra.deploy.package --check
	@echo "check: all fine"

bench: setup ## Measure the cost of an event beside its budget
	@$(BIN)/python -m benchmarks

package: setup ## Package STAGE for deployment into build/ (Python 3.13)
	@$(BIN)/python -m infra.deploy.package $(STAGE) build/$(STAGE)

rehearse: setup ## Deploy the package to an emulator and run the demo's journey through it
	@$(BIN)/python -m infra.deploy.rehearse

deploy: setup ## Deploy STAGE with your AWS credentials
	@$(BIN)/python -m infra.deploy $(STAGE)

lock: ## Rewrite the hashes after a pin of requirements*.txt has changed
	@test -x build/lock/bin/uv || "$(PYTHON)" -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@build/lock/bin/uv pip compile --quiet requirements-dev.txt --python-version 3.11 -o requirements.lock $(LOCK)
	@grep -v '^chalice==' requirements.txt | build/lock/bin/uv pip compile --quiet - --python-version 3.13 \
	  -c requirements.lock -o requirements-cell.lock $(LOCK)
	@build/lock/bin/uv pip compile --quiet requirements-serve.txt --python-version 3.13 -c requirements.lock \
	  -o requirements-serve.lock $(LOCK)

advisories: setup ## Compare the pins with the published security advisories
	@$(BIN)/python -m tools.advisories

regions: setup ## Rewrite the map of regions and countries from the installed botocore
	@$(BIN)/python -m infra.deploy.regions

law-pages: setup ## Rewrite the law pages from the rule files
	@$(BIN)/python -m chalicelib.law.pages

api-texts: setup ## Write the meanings of fields in the API's description anew from the pages
	@$(BIN)/python -m chalicelib.api.field_texts

clients: setup build/clients/.ready ## Make clients with generators of others, and run the first flow with them (needs Node)
	@$(BIN)/python -m pytest -q tests/e2e/test_clients.py

schemathesis: setup build/clients/.ready ## Fuzz a cell's API by its description, as a tenant and as the operator (MINUTES=10)
	@$(BIN)/python tests/clients/fuzz.py $(or $(MINUTES),10) $(PHASES) $(SEED)

build/clients/.ready: tests/clients/requirements.txt tests/clients/package.json
	@test -x build/clients/bin/python || "$(PYTHON)" -m venv build/clients
	@build/clients/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	@mkdir -p build/clients-node && cp tests/clients/package.json build/clients-node/
	@cd build/clients-node && npm install --silent --no-package-lock
	@touch $@

pictures: setup ## Draw the README's picture from the demo's output
	@$(BIN)/python -m tools.pictures

soak: setup ## Play random worlds under random faults and judge them (MINUTES=10 SEED=1)
	@$(BIN)/python -m faults --seed $(or $(SEED),1) --minutes $(or $(MINUTES),10)

load: setup ## Load a local cell over HTTP and measure each event as the stores fill (EVENTS=500); then waybill serve
	@$(BIN)/python -m benchmarks.load --events $(or $(EVENTS),500)
	@$(BIN)/python -m benchmarks.homes

deaths: setup ## Kill the process at every effect of every journey (a few minutes)
	@WAYBILL_DEATHS=all $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m deaths

fuzz: setup ## Mutate genuine webhooks, a million a channel (WAYBILL_FUZZ=…); try the laws on other examples (SEED=…)
	@WAYBILL_FUZZ=$${WAYBILL_FUZZ:-1000000} $(BIN)/python -m pytest tests/contract/test_channels.py -k hostile -n $(WORKERS)
	@$(BIN)/python -m pytest tests/property --hypothesis-profile fuzz -n $(WORKERS) $(and $(SEED),--hypothesis-seed $(SEED))

# The pinned engines and the proxy of a home of one's own. Needs cargo, go, mvn and a C compiler.
PARTS ?= build/home

parts: $(PARTS)/.ready ## Build the parts of a home from pinned packages (some minutes)

$(PARTS)/.ready: $(wildcard infra/home/build infra/home/parts.env infra/home/go/* infra/home/elasticmq/*)
	@infra/home/build queues $(PARTS)
	@infra/home/build go $(PARTS)
	@infra/home/build store $(PARTS)
	@touch $@

home: setup parts build/home-lint/.ready ## Check the files of a home, and try a whole home from its parts (needs Java 17)
	@build/home-lint/bin/hadolint Dockerfile
	@build/home-lint/bin/shellcheck --external-sources infra/home/part infra/home/build
	@cp compose.yaml build/home-lint/ && cp infra/home/home.env.example build/home-lint/home.env
	@go run github.com/compose-spec/compose-go/v2/cmd@v2.16.2 build/home-lint/compose.yaml >/dev/null
	@$(BIN)/python -m pytest -m home -s tests/home

build/home-lint/.ready: tests/home/requirements.txt
	@test -x build/home-lint/bin/python || "$(PYTHON)" -m venv build/home-lint
	@build/home-lint/bin/python -m pip install --quiet --disable-pip-version-check -r tests/home/requirements.txt
	@touch $@

clean: ## Remove build results and .venv
	@rm -rf .venv build .chalice/deployments .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
