# make setup | run | test | lint | format | bench | docs | clean

PYTHON_ENV := .venv/bin/python
MISCI := .venv/bin/misci
MPIRUN ?= mpirun

# What `make run` computes: each case file, on RUN_RANKS ranks, into RUN_OUTPUT/<name of the case>.
RUN_CASES ?= examples/g15/normal.toml examples/g15/inverted.toml
RUN_RANKS ?= 2
RUN_OUTPUT ?= output

# Open MPI refuses to run as root and with more ranks than cores unless told; harmless elsewhere.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
export OMPI_MCA_rmaps_base_oversubscribe := 1
# One thread a rank: the ranks are the parallelism.
export OMP_NUM_THREADS := 1
# Debian's h5py is built twice, with and without MPI, and this picks the first.
export H5PY_ALWAYS_USE_MPI := 1

.PHONY: setup run test lint format bench docs clean

setup:
	@scripts/setup.sh

run: setup
	@set -e; for case in $(RUN_CASES); do \
	    result=$(RUN_OUTPUT)/$$(basename $$(dirname $$case))-$$(basename $$case .toml); \
	    echo "$(MPIRUN) -n $(RUN_RANKS) $(MISCI) run $$case -o $$result"; \
	    $(MPIRUN) -n $(RUN_RANKS) $(MISCI) run $$case -o $$result; \
	    $(MISCI) plot $$result; \
	done

test: setup
	@$(PYTHON_ENV) scripts/run_tests.py

lint: setup
	@$(PYTHON_ENV) scripts/run_tests.py lint

format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: setup
	$(PYTHON_ENV) benchmarks/run.py

docs: setup
	$(PYTHON_ENV) -m pip install --quiet -c .venv/constraints.txt "sphinx>=7" "myst-parser>=2" "numpydoc>=1.6"
	$(PYTHON_ENV) -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf build docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path './.venv/*' -exec rm -rf {} +
