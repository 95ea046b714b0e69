# Cordée. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test browser check bench bench-quick proto docs format lock clean

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PROTO := cordee/v1/__init__.py
PROTO_SOURCES := $(wildcard proto/cordee/v1/*.proto)
CATALOGUES := $(wildcard cordee/locale/*/LC_MESSAGES/cordee.po)
COMPILED := $(CATALOGUES:.po=.mo)

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# A fresh Debian has no ensurepip and refuses pip outside a virtual environment: hence --without-pip and pip --python.
$(STAMP): requirements.lock pyproject.toml hatch_build.py tools/genproto.py
	test -x $(PYTHON) || python3 -m venv --without-pip $(VENV)
	pip --python $(PYTHON) install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r requirements.lock
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pip --python $(PYTHON) install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable .
	touch $@

$(PROTO): $(STAMP) $(PROTO_SOURCES)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PYTHON) tools/genproto.py
	touch $@

%.mo: %.po $(STAMP)
	$(VENV)/bin/pybabel --quiet compile --input-file $< --output-file $@ --locale $(notdir $(patsubst %/LC_MESSAGES/,%,$(dir $<)))

ready: $(STAMP) $(PROTO) $(COMPILED)
.PHONY: ready

# Modules are compiled once, beforehand: not by each process that starts, which would keep that memory, nor by each pytest.
demo test faults faults-quick bench bench-quick: export PYTHONDONTWRITEBYTECODE :=
compiled: ready
	$(PYTHON) -m compileall -q cordee node directory
.PHONY: compiled

demo: compiled ## Set everything up, then one directory, three associations and every outcome of a transfer
	$(VENV)/bin/cordee demo $(ARGS)

test: compiled browser ## Set everything up, then all tests (fast ones first)
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "not journey and not browser and not fault" tests
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m browser tests/web
	$(PYTHON) -m pytest -q -n 3 --dist loadfile -m journey tests

# Where it cannot be installed, the tests that need it are skipped and say so; with CI=true they fail.
browser: ## Install the browser of the pages' tests, where that can be done
	@if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -q DejaVu; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fontconfig || true; \
	else echo "No Chromium here: the tests in a browser will be skipped (apt install chromium fonts-dejavu-core)."; fi

# Network namespaces, and a second opinion on system calls. What is not there is skipped and says so; with CI=true it fails.
faults-tools:
	@if command -v ip >/dev/null && command -v strace >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends iproute2 strace || true; \
	else echo "No ip or strace here: some tests of faults will be skipped (apt install iproute2 strace)."; fi
.PHONY: faults-tools

# Three at once: half of the time they wait for what was killed, cut or stopped. The longest files first.
faults: compiled faults-tools ## Faults and attacks: kill, cut, flood and lie to everything, then a table
	rm -rf build/faults
	$(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m fault tests
	$(PYTHON) -m tests.faults.model --jobs 2
	$(PYTHON) -m tests.faults.power_cuts --jobs 2
	$(PYTHON) -m tests.faults.simulation --seeds 2000 --jobs 2 --count
	$(PYTHON) -m tests.faults.tally
.PHONY: faults

faults-quick: compiled ## Of those, the model whole and 400 seeds of the simulation: two minutes
	$(PYTHON) -m tests.faults.model --jobs 2
	$(PYTHON) -m tests.faults.simulation --seeds 400 --jobs 2
.PHONY: faults-quick

MUTANTS_STAMP := $(VENV)/.mutants-installed
$(MUTANTS_STAMP): requirements-mutants.lock $(STAMP)
	pip --python $(PYTHON) install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r requirements-mutants.lock
	touch $@

MINUTES := 30
mutants: ready $(MUTANTS_STAMP) ## Mutation testing of what guards a case, for MINUTES=30; it goes on where it stopped
	$(PYTHON) -m tests.faults.mutants --minutes $(MINUTES) $(ARGS)
.PHONY: mutants

soak: ready ## The simulation of faults, with other seeds each time, until Ctrl-C
	$(PYTHON) -m tests.faults.simulation --first -1 --seeds 0 --jobs 2
.PHONY: soak

FUZZ_STAMP := $(VENV)/.fuzz-installed
$(FUZZ_STAMP): requirements-fuzz.lock $(STAMP)
	pip --python $(PYTHON) install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r requirements-fuzz.lock
	touch $@

fuzz-quick: ready $(FUZZ_STAMP) ## Throw odd bytes at every parser for five minutes of processor time
	$(PYTHON) -m tests.fuzz --seconds 300 --jobs 2

HOURS := 1
fuzz: ready $(FUZZ_STAMP) ## The same for HOURS=1 hours on two cores, from another seed each day
	$(PYTHON) -m tests.fuzz --seconds $$(( $(HOURS) * 7200 )) --jobs 2 --seed $$(date +%Y%m%d)
.PHONY: fuzz fuzz-quick

check: ready ## Lint, format, types, layers, contract, translations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/buf lint
	$(VENV)/bin/buf format --diff --exit-code proto
	$(PYTHON) tools/check_breaking.py
	$(PYTHON) tools/check_translations.py

bench: compiled ## Measure W1 to W4, W7 to W9 with their peers; JSON in bench/results/
	$(PYTHON) -m bench $(ARGS)

bench-quick: compiled ## The same in under two minutes: checks only that it works
	$(PYTHON) -m bench --quick

proto: $(STAMP) ## Generate cordee/v1 again
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PYTHON) tools/genproto.py

docs: ready ## Draw the pictures of docs/ again
	$(PYTHON) tools/draw_states.py
	$(PYTHON) tools/draw_parts.py
	$(PYTHON) tools/list_reasons.py
	$(PYTHON) -m tools.list_findings
	LC_ALL=C.UTF-8 $(VENV)/bin/cordee demo --picture docs/demo.svg

pictures: ready browser ## Take the pictures of the pages in docs/pictures/ again
	$(PYTHON) tools/take_pictures.py
.PHONY: pictures

format: ready ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/buf format --write proto

lock: $(STAMP) ## Choose the newest versions again (needs uv)
	uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-header requirements.in -o requirements.lock
	uv pip compile --quiet --generate-hashes --python-version 3.11 --no-header requirements-fuzz.in -o requirements-fuzz.lock
	uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-header -c requirements.lock requirements-mutants.in -o requirements-mutants.lock

clean: ## Remove what was built here
	rm -rf $(VENV) cordee/v1 build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
