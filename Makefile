# Everything starts here: `make help`. Needs Python 3.11 or newer with pip; what else is needed, it fetches or names.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

# A stamp is newer than what it was made from, so that nothing is installed twice.
DEV := $(VENV)/.installed-dev
DEMO := $(VENV)/.installed-demo
CONSTRAINTS := deploy/constraints.txt
CONSOLE := $(shell find services/api/console \( -name node_modules -o -name dist -o -name __pycache__ \) -prune -o -type f -print)
MADE_FROM := pyproject.toml $(CONSTRAINTS) $(CONSOLE)

# Programs that tests start, and the Debian packages that hold them.
TEST_PROGRAMS := mosquitto:mosquitto influxd:influxdb chromium:chromium pg_ctlcluster:postgresql promtool:prometheus systemd-analyze:systemd \
  ip:iproute2
# chrony takes the place of whatever keeps the clock of the machine: a throw-away one may have it, a developer's is asked.
ifdef CI
TEST_PROGRAMS += chronyd:chrony
endif

# What runs kernels as plain Python too, each against its reference. Whole records through the estimator would take
# minutes apiece so.
NOJIT_TESTS := tests/unit/test_kernels.py tests/unit/models tests/unit/edge_agent/test_adjustment.py \
  tests/unit/correction/streaming/test_stream.py tests/unit/correction/streaming/test_record.py \
  tests/unit/uncertainty/test_kernels.py \
  tests/unit/identification/test_kernels_against_references.py tests/unit/identification/coloured/test_whitening.py \
  tests/unit/adapters/influx/test_printing.py

WITHOUT_SERVERS := unit property statistical hostile
MOSTLY_WAITING := contract integration e2e/console

.PHONY: help demo test checks lint nojit bench foreign stats scores constraints revision protocol system clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	echo "  ARGS=... goes to the command behind: make demo ARGS='--duration 90 --headless', make test ARGS='-k bus'"

demo: $(DEMO) ## Run everything on this machine with simulated sensors; prints the address of the live page
	@exec $(BIN)/dyncal demo $(ARGS)

test: $(DEV) system checks ## Lint, types, import contracts and all tests; installs what they need
	@if [ -n "$(ARGS)" ]; then exec $(BIN)/pytest -m 'not benchmark' $(ARGS); fi
	# What starts servers mostly waits: three files at a time, and after them, one by one, what kills programs and counts
	# seconds. What needs no server takes what these leave of two cores, at a lower priority, and shows its output at the
	# end. With servers a test is tried once more if it fails, and says so (RERUN): a host that takes the processor away
	# for seconds fails it by chance, a fault fails it twice.
	export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
	$(BIN)/dyncal kernels | tail -n 1 # what has changed since the installation, or programs are not ready in time
	beside="$$(mktemp)"
	nice -n 10 $(BIN)/pytest -q -m 'not benchmark' --durations 10 -n 2 $(addprefix tests/,$(WITHOUT_SERVERS)) >"$$beside" 2>&1 &
	trap 'kill $$! 2>/dev/null || true; rm -f "$$beside"' EXIT
	failed=0
	$(BIN)/pytest -q -m 'not benchmark' --durations 10 --reruns 1 -r aR -n 3 --dist loadfile $(addprefix tests/,$(MOSTLY_WAITING)) || failed=1
	$(BIN)/pytest -m 'not benchmark' --durations 10 --reruns 1 -r aR $(addprefix --ignore=tests/,$(WITHOUT_SERVERS) $(MOSTLY_WAITING)) || failed=1
	wait $$! || failed=1
	cat "$$beside"
	exit "$$failed"

checks: $(DEV)
	@$(MAKE) --no-print-directory -j 2 --output-sync=target lint $(if $(ARGS),,nojit)

lint: $(DEV) ## Lint, types and import contracts
	@$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet || { echo "run: $(BIN)/ruff format"; exit 1; }
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

nojit: $(DEV) ## Tests of the kernels as plain Python, which their compiled form must equal
	@NUMBA_DISABLE_JIT=1 $(BIN)/pytest -q $(NOJIT_TESTS)

bench: $(DEV) system ## Measure, each comparison within one run; writes docs/evidence/benchmarks.md (ARGS="--only TEXT")
	@$(if $(ARGS),,$(BIN)/pytest -q -m benchmark tests/benchmarks)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks $(ARGS)

foreign: $(DEV) ## Make the environment of the libraries that benchmarks compare with
	@$(BIN)/python -m tests.benchmarks.foreign

stats: $(DEV) ## Statistical experiments in full; writes docs/evidence/statistics.md (ARGS="--only TEXT --trials N")
	@$(BIN)/python -m tests.statistical $(ARGS)

scores: $(DEV) ## Score methods on the reference data sets; writes docs/evidence/scores.md (ARGS="DIR --method TEXT")
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.scores $(ARGS)

protocol: $(DEV) ## Write the schema of the wire protocol below docs/protocol
	@$(BIN)/dyncal protocol

revision: $(DEV) ## Write the next revision of the registry's tables, from their metadata (ARGS=name)
	@$(BIN)/python -m tests.revision $(ARGS)

constraints: $(DEV) ## Pin the versions that are installed now
	@{ echo "# Versions that work together, for repeatable installation; made by 'make constraints'."
	  $(PIP) freeze --exclude-editable --exclude dyncal | grep -E '^[A-Za-z0-9._-]+==' | LC_ALL=C sort -f; } > $(CONSTRAINTS).new
	mv $(CONSTRAINTS).new $(CONSTRAINTS)
	touch $(DEV)

clean: ## Remove the virtual environment, caches and what was built
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

system: # what only the system's package manager has
	@wanted=()
	for entry in $(TEST_PROGRAMS); do
	  PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v "$${entry%%:*}" >/dev/null || wanted+=("$${entry##*:}")
	done
	[ "$${#wanted[@]}" -gt 0 ] || exit 0
	as_root=()
	if [ "$$(id -u)" -ne 0 ]; then
	  if sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(none); fi
	fi
	if [ "$${as_root[*]-}" = none ] || ! command -v apt-get >/dev/null; then
	  echo "The tests need these Debian packages, and this user may not install them: $${wanted[*]}"
	  echo "Have them installed:  apt-get install $${wanted[*]}"
	  exit 1
	fi >&2
	echo "installing $${wanted[*]}"
	export DEBIAN_FRONTEND=noninteractive
	"$${as_root[@]}" apt-get update -qq
	"$${as_root[@]}" apt-get install -y -qq --no-install-recommends "$${wanted[@]}" >/dev/null

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/python3.11"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { # Debian without python3-venv
	  rm -rf $(VENV)
	  $(PYTHON) -m venv --without-pip $(VENV)
	  $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install -q pip
	}

$(DEV): $(BIN)/python $(MADE_FROM)
	@echo "installing for development"
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[dev]'
	$(BIN)/dyncal kernels
	touch $(DEV) $(DEMO)

$(DEMO): $(BIN)/python $(MADE_FROM)
	@echo "installing"
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[demo]'
	$(BIN)/dyncal kernels
	touch $(DEMO)
