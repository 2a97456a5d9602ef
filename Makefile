# The commands of the house. The first one that needs Python sets up .venv; the second time is quick.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
TORCH  := $(shell sed -n 's/^torch==//p' constraints.txt)
JOBS   ?= 2
DEMO   ?=

# Workers share the cores, so each gets one thread.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo demo-full serve test coverage test-all lint docs bench clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  TORCH_INDEX=https://download.pytorch.org/whl/cpu make demo   takes torch from another index (there: without CUDA)"

$(BIN)/python:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# torch goes first and by itself: with it in place nothing else asks for another build of it.
$(VENV)/.torch-$(TORCH): | $(BIN)/python
	@echo "Installing torch $(TORCH) ..."
	@$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==$(TORCH)
	@touch $@

$(VENV)/.ready-demo: pyproject.toml constraints.txt $(VENV)/.torch-$(TORCH)
	@echo "Installing Banyan for the demo ..."
	@$(PIP) install --constraint constraints.txt --editable '.[demo,bench]'
	@touch $@

$(VENV)/.ready-serve: pyproject.toml constraints.txt $(VENV)/.torch-$(TORCH)
	@echo "Installing Banyan for the service ..."
	@$(PIP) install --constraint constraints.txt --editable '.[demo,bench,serve,web]'
	@touch $(VENV)/.ready-demo $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt $(VENV)/.torch-$(TORCH)
	@echo "Installing Banyan with its tests ..."
	@$(PIP) install --constraint constraints.txt --editable '.[demo,text,images,models,sql,bench,balancing,index,tune,serve,web,dev]'
	@touch $(VENV)/.ready-demo $(VENV)/.ready-serve $@

demo: $(VENV)/.ready-demo  ## train on The Complete Journey, print the table of tasks, write the report (under 10 minutes on 2 cores)
	@$(BIN)/banyan demo $(DEMO)

demo-full: $(VENV)/.ready-demo  ## the same with every household and no cap on time
	@$(BIN)/banyan demo --full $(DEMO)

serve: $(VENV)/.ready-serve  ## train the demo if there is no bundle yet, then serve it on http://127.0.0.1:8000
	@$(BIN)/banyan demo --serve $(DEMO)

test: $(VENV)/.ready-dev  ## the fast tests
	@$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow"

coverage: $(VENV)/.ready-dev  ## the fast tests, and what they cover; some two times slower
	@$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow" --cov --cov-report=term:skip-covered

test-all: $(VENV)/.ready-dev  ## every test, the slow ones too
	@$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(JOBS)

lint: $(VENV)/.ready-dev  ## ruff, mypy in strict mode, the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports --no-cache

docs: $(VENV)/.ready-dev  ## build the site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/index.html"

bench: $(VENV)/.ready-dev  ## samples per second beside the peers; see benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.throughput --rows 1000000 --peers torch-rechub,deepctr-torch

clean:  ## remove what was built, but not .venv
	@rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
	@find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
