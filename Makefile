# The two commands: `make demo` and `make test`. Both need only Python >= 3.11, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Another Python, with the newest protobuf: what users may have beside us.
OTHER_PYTHON ?= python3.13
OTHER_VENV ?= .venv-protobuf7
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: servers demo test test-protobuf7 check lint format types layers proto proto-check bench clean storages

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# Object stores for the tests, where npm and go are: without them the tests of Azure and Google are skipped, with a word.
storages:
	-[ -x .azurite/node_modules/.bin/azurite-blob ] || ! command -v npm >/dev/null || \
	  npm install --no-audit --no-fund --loglevel=error --prefix .azurite azurite@3.35.0
	-[ -x .fake-gcs/fake-gcs-server ] || ! command -v go >/dev/null || \
	  GOBIN="$(CURDIR)/.fake-gcs" timeout 900 go install github.com/fsouza/fake-gcs-server@v1.56.1

# Those that meet protobuf or the newer Python, without tritonclient, which needs protobuf 6. What is left out takes
# long and would find the same: most whole systems, crashes of workers and compilers, foreign servers.
PROTOBUF7_TESTS := $(addprefix tests/,agent cli client domain gateway kit proxy run runtime scheduler wire) \
  tests/e2e/test_first_steps.py tests/e2e/test_formats.py
PROTOBUF7_NOT := tests/agent/test_agent_and_servers.py tests/agent/test_agent_behind_a_door.py \
  tests/run/test_environments.py tests/runtime/acceleration/test_acceleration.py tests/runtime/workers/test_workers.py
test-protobuf7: $(OTHER_VENV)/.installed
	$(OTHER_VENV)/bin/python -m pytest -p no:cacheprovider $(PROTOBUF7_TESTS) $(addprefix --ignore=,$(PROTOBUF7_NOT))

# MLServer and Triton, into the cache of this user, where they are not there yet.
servers: $(VENV)/.installed-dev
	$(BIN)/python -m modelyard.run.environments

check: lint types layers proto-check

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

proto: $(VENV)/.installed-dev
	$(BIN)/python proto/generate.py

proto-check: $(VENV)/.installed-dev
	$(BIN)/python proto/generate.py --check

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) $(OTHER_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(OTHER_VENV)/.installed: pyproject.toml
	$(OTHER_PYTHON) -m venv $(OTHER_VENV)
	$(OTHER_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[test]' 'protobuf>=7'
	touch $@

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed
