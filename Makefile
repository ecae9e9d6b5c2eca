# Guidkeep: `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8080
# Processes that run the tests, which wait for servers and browsers more than they work.
JOBS   ?= 4
# The same for `make check`, whose tests work more than they wait.
CHECK_JOBS ?= 2

# uv is used where it is on the PATH; else it is fetched with pip into a folder of its own.
UV_HOME := build/uv
UV := $(shell command -v uv 2>/dev/null || echo $(UV_HOME)/bin/uv)
# Trust what the system trusts, so that it works behind a proxy with a certificate of its own;
# the second name is what older versions of uv call it.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1

# Every process that the tests start would compile all its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install wheel run cluster check alone test lint format bench soak servers docs screenshots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make .venv from the lock file; leaves .venv/bin/guidkeep

$(VENV)/.installed: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet --python $(PYTHON)
	@touch $@

# Some Pythons come without pip and some without venv: either will do.
$(UV_HOME)/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(UV_HOME) uv \
	  || { $(PYTHON) -m venv $(UV_HOME) && $(UV_HOME)/bin/pip install --quiet uv; }

wheel: | $(UV) ## build dist/guidkeep-VERSION-py3-none-any.whl, for pip and uv
	$(UV) build --wheel --quiet

run: install ## serve on 127.0.0.1:8080 from guidkeep.db (HOST=, PORT= change that)
	@exec $(BIN)/guidkeep serve --host $(HOST) --port $(PORT)

lint: install ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache # its cache goes by times, which a checkout sets

check: install ## lint, and the tests that need no server, no browser and no other process
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint alone

alone: install
	$(BIN)/pytest --alone -m "not soak and not thorough and not processes" --timeout 60 \
	  --numprocesses $(CHECK_JOBS) --dist worksteal -q -r fE -p no:schemathesis

test: lint ## every check and every test, with branch coverage
	$(BIN)/pytest -m "not soak" --numprocesses $(JOBS) --dist worksteal --cov --cov-report=term

format: install ## let ruff put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

soak: install ## the long tests: a hundred kill -9 under load, and what else is marked soak
	$(BIN)/pytest -m soak -s

bench: install ## measure beside nginx and Webdis + Redis; writes docs/measured/
	$(BIN)/python -m benchmarks $(BENCH)

servers: ## install the servers that tests, `make bench` and `make cluster` start (Debian)
	@servers/install.sh

cluster: install ## three nodes, Redis, MariaDB and nginx on 127.0.0.1:8080 (PORT= changes that)
	@exec $(BIN)/python -m servers.cluster --port $(PORT)

docs: install ## write the generated parts of the docs again (see docs/generated/)
	$(BIN)/python -m docs.generated

screenshots: install ## take the pictures of the docs again, with Chromium; look at them
	$(BIN)/python -m tests.console.pictures docs/console

clean: ## remove .venv and everything made; leaves guidkeep.db alone
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
