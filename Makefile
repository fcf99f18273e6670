# make demo: a report on digits. make test: everything that must pass. Both make the environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH  ?= torch==2.13.0
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# installed again when pyproject or the pins change, and only then
PINS   := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
USE     = $(VENV)/.use-$(PINS)
DEV     = $(VENV)/.dev-$(PINS)

.PHONY: demo test unit lint clean

demo: $(USE)
	$(BIN)/hexad compare digits --out runs/compare-digits

# both at once: the check of types and the collection of tests each keep one core
test: $(DEV)
	+$(MAKE) --no-print-directory -j 2 lint unit

unit: $(DEV)
	$(BIN)/python -m pytest -n 2

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(USE):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) -e .
	touch $@

$(DEV): $(USE)
	$(PIP) -e ".[dev,parquet]"
	touch $@

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .hypothesis
