# Everything a developer does here, one target each. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Tests start programs by the thousand. Where a shell forbids to keep bytecode, each of them compiles all of Penstock anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/runtime.stamp
TOOLS := $(VENV)/tools.stamp
# -qq: only errors; pip's usual lines name places that are nobody's business.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq --no-deps
CODE := penstock scripts tests bench examples
PEERS := .venv-bench/peers.stamp
JUDGES := .venv-fidelity/judges.stamp
FIDELITY_ARGS ?=
BENCH_ARGS ?= --quick
PYTEST_ARGS ?=
# Four on two processors: tests wait for disks, and for what has to happen after a while; with three, a third of the time was idle.
WORKERS ?= 4
FUZZER := $(VENV)/fuzzer.stamp
FUZZ_S ?= 60
FUZZ_ARGS ?=
CHAOS_FILES ?= 2000
BATCH_FILES ?= 100000
BATCH_KILLS ?= 10
CHAOS_SEED ?= 0
RACES ?= 10000
RACES_SEED ?= 0
WAYS ?=
PICTURES ?=
SDK ?=
SOAK_MINUTES ?= 30
SOAK_SEED ?= 0
EXPLORE_S ?= 600
EXPLORE_SEED ?= 0
MACHINE_EXAMPLES ?= 3000
MACHINE_STEPS ?= 100
MACHINE_SEED ?= $(strip $(shell od -An -N4 -tu4 /dev/urandom))

.PHONY: help venv deb demo screenshots test compatibility kill-matrix power-cuts check format locks third-party clean bench bench-emulator fuzz emulator-fidelity fidelity chaos races soak batches state-machine explore

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(RUNTIME): requirements/runtime.txt pyproject.toml scripts/venv.sh
	@scripts/venv.sh "$(PYTHON)" $(VENV)
	@echo "venv: $$(grep -c == $<) packages to run Penstock"
	@$(PIP) -r $<
	@echo "venv: Penstock itself"
	@$(PIP) -e .
	@touch $@

$(TOOLS): requirements/test.txt requirements/check.txt $(RUNTIME)
	@echo "venv: $$(cat requirements/test.txt requirements/check.txt | grep -c ==) packages to test and check it"
	@$(PIP) -r requirements/test.txt -r requirements/check.txt
	@touch $@

venv: $(TOOLS) ## make .venv from the locks: what Penstock, its tests and its checks need

deb: ## install the Debian packages that tests start as programs (Ceph, strace); does nothing when all are there
	@scripts/deb.sh $$(grep -v '^#' requirements/debian.txt)

demo: $(RUNTIME) ## set up everything and run the main job
	@$(BIN)/python scripts/demo.py

screenshots: $(TOOLS) ## look at the console of a service at work, write docs/images/*.png; needs chromium (PICTURES="files learn")
	@scripts/deb.sh $$(grep -v '^#' requirements/debian.txt)
	@$(BIN)/python -m scripts.screenshots $(PICTURES)

test: $(TOOLS) ## set up everything and pass the tests (PYTEST_ARGS=... for your own choice of tests)
	@$(MAKE) --no-print-directory deb \
	    || { [ -z "$${PENSTOCK_REQUIRE_CEPH:-}" ] && echo "test: going on; tests that need these packages will be skipped"; }
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

$(PEERS): requirements/bench.txt scripts/venv.sh
	@scripts/venv.sh "$(PYTHON)" .venv-bench
	@echo "bench: $$(grep -c == $<) packages to measure against"
	@.venv-bench/bin/python -m pip --disable-pip-version-check --no-input install -qq --no-deps -r $<
	@touch $@

bench: $(RUNTIME) $(PEERS) ## measure side by side with peers (BENCH_ARGS=... instead of --quick: `--help` tells all)
	@scripts/deb.sh $$(grep -v '^#' requirements/debian-bench.txt)
	@$(BIN)/python -m bench $(BENCH_ARGS)

bench-emulator: $(TOOLS) ## measure the OSS emulator beside moto's server, write docs/emulator.md's table
	@$(BIN)/python -m bench.emulator --page

$(FUZZER): requirements/fuzz.txt $(TOOLS)
	@echo "fuzz: the fuzzer"
	@$(PIP) -r $<
	@touch $@

fuzz: $(FUZZER) ## hunt for answers that the store client misreads, FUZZ_S=60 seconds (FUZZ_ARGS=crash-... plays one again)
	@grown=$$(mktemp -d); trap 'rm -rf "$$grown"' EXIT; \
	    $(BIN)/python -m tests.fuzz.fuzz_answers \
	        $(or $(FUZZ_ARGS),"$$grown" tests/fuzz/corpus -max_total_time=$(FUZZ_S) -dict=tests/fuzz/answers.dict -timeout=10)

$(JUDGES): requirements/fidelity.txt scripts/venv.sh
	@scripts/venv.sh "$(PYTHON)" .venv-fidelity
	@echo "emulator-fidelity: $$(grep -c == $<) packages that the suite needs"
	@.venv-fidelity/bin/python -m pip --disable-pip-version-check --no-input install -qq --no-deps -r $<
	@touch $@

emulator-fidelity: $(RUNTIME) $(JUDGES) ## judge the OSS emulator by the tests of Aliyun's own SDK, write docs/emulator.md's part
	@$(BIN)/python -m scripts.emulator_fidelity .venv-fidelity/bin/python $(FIDELITY_ARGS)

fidelity: $(TOOLS) ## write the tables of docs/fidelity.md from the code, the tests and the vendor's names (SDK=1 reads these anew)
	@$(BIN)/python -m scripts.fidelity $(if $(SDK),--sdk)

compatibility: $(TOOLS) $(PEERS) ## run the stores' suite over every server there is, write the numbers into docs/compatibility.md
	@scripts/deb.sh $$(grep -hv '^#' requirements/debian.txt requirements/debian-compatibility.txt)
	@PATH="$(CURDIR)/.venv-bench/bin:$$PATH" $(BIN)/python -m tests.compatibility docs/compatibility.md

kill-matrix: $(TOOLS) ## die by SIGKILL at every failpoint, write docs/crash-matrix.md (WAYS='"import large"': its table only)
	@$(BIN)/python -m tests.faults.matrix docs/crash-matrix.md $(WAYS)

chaos: $(TOOLS) ## move CHAOS_FILES=2000 files through a store in trouble; CHAOS_SEED=... plays one again
	@PENSTOCK_CHAOS_FILES=$(CHAOS_FILES) PENSTOCK_CHAOS_SERVED=$$(( $(CHAOS_FILES) / 10 + 1 )) PENSTOCK_CHAOS_SEED=$(CHAOS_SEED) \
	    $(BIN)/python -m pytest -n 2 --timeout 3600 tests/faults/chaos/test_seeded.py tests/faults/chaos/test_served.py

races: $(TOOLS) ## race RACES=10000 times against others that write the same name, each kind; RACES_SEED=... for others
	@PENSTOCK_RACES=$(RACES) PENSTOCK_RACES_SEED=$(RACES_SEED) \
	    $(BIN)/python -m pytest -n 2 --dist loadgroup --timeout 3600 -rP tests/faults/races

batches: $(TOOLS) ## export and import BATCH_FILES=100000 files by batch tasks, with BATCH_KILLS=10 SIGKILLs each, and judge the reports
	@PENSTOCK_BATCH_FILES=$(BATCH_FILES) PENSTOCK_BATCH_KILLS=$(BATCH_KILLS) \
		$(BIN)/python -m pytest -q -s --timeout 7200 tests/e2e/test_batches.py -k sigkills

soak: $(TOOLS) ## all of it at once, at load, for SOAK_MINUTES=30, with a verdict (SOAK_PAGE=docs/reliability.md writes it there)
	@$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES) --seed $(SOAK_SEED) $(if $(SOAK_PAGE),--page $(SOAK_PAGE))

power-cuts: $(TOOLS) ## cut the power wherever it may hurt, lose what was not synced, and go on; needs strace
	@$(BIN)/python -m tests.faults.power
	@PENSTOCK_POWER_WHOLE=1 $(BIN)/python -m pytest -q --timeout 900 tests/faults/power

state-machine: $(TOOLS) ## drive the catalog and its model by MACHINE_EXAMPLES=3000 new examples; MACHINE_SEED=... plays them again
	@PENSTOCK_MACHINE_EXAMPLES=$(MACHINE_EXAMPLES) PENSTOCK_MACHINE_STEPS=$(MACHINE_STEPS) \
	    PENSTOCK_MACHINE_SEED=$(MACHINE_SEED) \
	    $(BIN)/python -m pytest -s --timeout 86400 tests/conformance/catalog/test_machine.py

explore: $(TOOLS) ## search on with new examples and seeds for EXPLORE_S=600 seconds; EXPLORE_SEED=... plays a round again
	@$(BIN)/python -m tests.explore --seconds $(EXPLORE_S) --seed $(EXPLORE_SEED) --workers $(WORKERS) $(PYTEST_ARGS)

check: $(TOOLS) ## lint, format, types, import contracts, house rules, licences, generated files
	@echo "check: ruff";            $(BIN)/ruff check --quiet $(CODE)
	@echo "check: format";          $(BIN)/ruff format --quiet --check $(CODE)
	@echo "check: import contracts"; $(BIN)/lint-imports --no-logo
	@echo "check: types";           $(BIN)/mypy $(CODE)
	@echo "check: house rules";     $(BIN)/python -m scripts.house
	@echo "check: fidelity";        $(BIN)/python -m scripts.fidelity --check
	@echo "check: locks";           $(BIN)/python -m scripts.locks --check
	@echo "check: licences";        $(BIN)/python -m scripts.licences --check
	@echo "check: all is well"

format: $(TOOLS) ## let ruff put imports and layout in order
	@$(BIN)/ruff check --quiet --fix $(CODE) || true
	@$(BIN)/ruff format $(CODE)

locks: $(TOOLS) ## choose versions anew from pyproject.toml, write requirements/*.txt
	@$(BIN)/python -m scripts.locks

third-party: $(TOOLS) ## write THIRD_PARTY.md from what is installed
	@$(BIN)/python -m scripts.licences

clean: ## remove what these targets made, .venv included
	@rm -rf $(VENV) .venv-bench .venv-fidelity .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
