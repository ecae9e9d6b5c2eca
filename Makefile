# Guidkeep: `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8080
# Processes for the tests, which wait for servers and browsers more than they compute.
JOBS   ?= 4
# Processes for `make check`, whose tests compute more than they wait.
CHECK_JOBS ?= 3

# uv from the PATH, if it is there; else pip installs it into a folder of its own.
UV_HOME := build/uv
UV := $(shell command -v uv 2>/dev/null || echo $(UV_HOME)/bin/uv)
# Use the system's certificate authorities, so that it works behind a proxy with its own
# certificate; older versions of uv use the second name.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1

# With it, every process that the tests start would compile all its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install wheel run cluster check alone test tests lint format bench soak servers docs screenshots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make .venv from the lock file, with .venv/bin/guidkeep

$(VENV)/.installed: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet --python $(PYTHON)
	@touch $@

# Some Pythons lack pip and some lack venv: either is enough.
$(UV_HOME)/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(UV_HOME) uv \
	  || { $(PYTHON) -m venv $(UV_HOME) && $(UV_HOME)/bin/pip install --quiet uv; }

wheel: | $(UV) ## build dist/guidkeep-VERSION-py3-none-any.whl, for pip and uv
	$(UV) build --wheel --quiet

run: install ## serve on 127.0.0.1:8080 from guidkeep.db (or HOST=, PORT=)
	@exec $(BIN)/guidkeep serve --host $(HOST) --port $(PORT)

lint: install ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache # its cache relies on file times, which a checkout changes

check: install ## lint, and the tests that need no server, no browser and no other process
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint alone

alone: install ## the tests that start no process and need no server
	$(BIN)/pytest --alone -m "not soak and not thorough and not processes and not waits" --timeout 60 \
	  --numprocesses $(CHECK_JOBS) --dist worksteal -q -r fE -p no:schemathesis

test: install ## every check and every test, side by side: what CI requires
	@$(MAKE) --no-print-directory --jobs=2 lint tests

tests: install ## every test, with branch coverage (`make test` runs lint beside it)
	$(BIN)/pytest -m "not soak" --numprocesses $(JOBS) --dist worksteal --cov --cov-report=term

format: install ## format the code with ruff
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

soak: install ## the long tests: a hundred kill -9 under load, and all others marked soak
	$(BIN)/pytest -m soak -s

bench: install ## measure beside nginx and Webdis + Redis; writes docs/measured/
	$(BIN)/python -m benchmarks $(BENCH)

servers: ## install the servers that tests, `make bench` and `make cluster` start (Debian)
	@servers/install.sh

cluster: install ## three nodes, Redis, MariaDB and nginx on 127.0.0.1:8080 (or PORT=)
	@exec $(BIN)/python -m servers.cluster --port $(PORT)

docs: install ## write the generated parts of the docs again (see docs/generated/)
	$(BIN)/python -m docs.generated

screenshots: install ## take the pictures of the docs again, with Chromium; look at them
	$(BIN)/python -m tests.console.pictures docs/console

clean: ## remove .venv and all built files; leaves guidkeep.db alone
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
