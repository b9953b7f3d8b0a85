# Two commands for a new machine: `make demo` and `make test`. The work is done in .ci/setup.

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench reference notebooks figures lock setup clean

PY := .venv/bin/python
OUT ?= demo
JOBS ?= 2

# Headless, independent of the user's settings, and nothing is written to a home directory.
export MPLBACKEND := Agg
export MPLCONFIGDIR := $(CURDIR)/.venv/var/matplotlib
export IPYTHONDIR := $(CURDIR)/.venv/var/ipython
export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/var/jupyter
export JUPYTER_DATA_DIR := $(CURDIR)/.venv/var/jupyter
export JUPYTER_RUNTIME_DIR := $(CURDIR)/.venv/var/jupyter
export LC_ALL := C.UTF-8
# One thread for each of the JOBS: more would only fight over the cores.
test bench figures: export OMP_NUM_THREADS := 1
test bench figures: export OPENBLAS_NUM_THREADS := 1

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## install the package in .venv and run the main job on a synthetic cohort (OUT=demo)
	@.ci/setup runtime
	@.venv/bin/pmsstats demo --out "$(OUT)"
	@echo "The report: $(abspath $(OUT))/report.html"

test: ## install everything, R included where possible, and run the whole test suite (JOBS=2)
	@.ci/setup test
	@.ci/setup r
	@.ci/test --numprocesses $(JOBS)

lint: ## ruff, numpydoc validation, import contracts
	@.ci/setup test
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-logo
	$(PY) -m pytest --quiet tests/test_docstrings.py

format: ## let ruff format and fix what it can
	@.ci/setup test
	$(PY) -m ruff format
	$(PY) -m ruff check --fix

bench: ## run tests/benchmarks/bench_*.py, which print their tables (BENCH=validate: only that one)
	@.ci/setup test
	@for file in tests/benchmarks/bench_$(or $(BENCH),*).py; do \
	  echo "== $$file"; $(PY) "$$file" || exit 1; done

reference: ## run pymsprog in its own environment on the stored cohorts of tests/reference/pymsprog
	@.ci/setup runtime
	@.ci/reference

notebooks: ## build notebooks/*.ipynb, without outputs, from notebooks/*.py
	@.ci/setup test
	@$(PY) .ci/build_notebooks.py

figures: ## draw the figures of the README anew (some ten minutes)
	@.ci/setup test
	@$(PY) .ci/draw_replication.py
	@$(PY) .ci/draw_association.py
	@$(PY) .ci/draw_power.py

lock: ## pin all dependencies anew, with hashes (UPGRADE=1: at their newest versions)
	@.ci/lock

setup: ## only install: package, test and lint tools, R where possible
	@.ci/setup test
	@.ci/setup r

clean: ## remove what the other targets made, .venv and demo included
	rm -rf .venv demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache notebooks/.ipynb_checkpoints
	find pmsstats synthetic tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
