# `make help` lists the targets. Everything is installed into .venv; nothing outside this folder changes but the
# model cache ($FATHOM_CACHE or the user's cache folder). A finished step leaves a stamp and is not done again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
ROOM   := examples/dealroom
# A Python with vLLM 0.32 for a GPU and pytest. No installation of fathom is needed.
GPU_PYTHON ?= python3
ASK    ?= What is Quillhaven's runway in months?

.PHONY: help setup demo ask test check lint types bench gpu-test gpu-bench lock dealroom clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMPS)/model ## Install fathom with its CPU engine and fetch the bundled model
	@printf '\nReady. Next:\n  make demo                                  ask the sample data room\n  %s\n  %s\n' \
	  '$(BIN)/fathom index FOLDER                 index your own documents' \
	  '$(BIN)/fathom ask "…"                      ask them'

demo: export ASK := $(ASK)
demo: $(STAMPS)/model ## Set up, index the sample data room, ask it a question
	@echo '== indexing $(ROOM)'
	@$(BIN)/fathom index $(ROOM) --collection .fathom
	@printf '\n== fathom ask "%s" --explain\n' "$$ASK"
	@$(BIN)/fathom ask "$$ASK" --explain --collection .fathom
	@printf '\nTry next:\n  %s\n  %s\n  %s\n' \
	  '$(BIN)/fathom ask "Which company supplies the battery cells of Marrowbay?"' \
	  '$(BIN)/fathom search "liability cap" -k 3' \
	  '$(BIN)/fathom doctor'

test: $(STAMPS)/dev $(STAMPS)/model ## Set up and run all tests, the real engine included
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: lint types test ## What CI runs: ruff, mypy, tests

lint: $(STAMPS)/dev ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMPS)/dev ## mypy, strict
	@$(BIN)/mypy

bench: $(STAMPS)/dev $(STAMPS)/model ## Start-up, search and ask times, and the sample's questions
	@$(BIN)/python -m evals.bench.startup
	@$(BIN)/python -m evals.tasks.dealroom

gpu-test: ## On a GPU machine: the attention kernels against float64, and vLLM's features with them, with $(GPU_PYTHON)
	@$(GPU_PYTHON) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "no GPU that $(GPU_PYTHON)'s torch can use"; exit 1; }
	@$(GPU_PYTHON) -c 'import vllm, pytest' || { echo "$(GPU_PYTHON) lacks vLLM 0.32 or pytest: install fathom-rag[gpu] and pytest"; exit 1; }
	@$(GPU_PYTHON) -m pytest -p no:cacheprovider tests/engine/attention

gpu-bench: ## On a GPU machine: the attention kernels beside FlashAttention 3, with $(GPU_PYTHON)
	@$(GPU_PYTHON) -m evals.bench.attention $(ARGS)

dealroom: $(STAMPS)/dev ## Rebuild the data room's DOCX and PDF files from their sources
	@$(BIN)/python examples/build_dealroom.py

lock: ## Resolve requirements/*.lock anew in a scratch environment
	@bash requirements/relock.sh $(PYTHON)

clean: ## Remove .venv and the demo's collection; the model cache stays
	rm -rf $(VENV) .fathom

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || { echo "fathom needs Python 3.11: install it, or run make with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11, for which the packages are pinned"; exit 1; }
	@echo '== [1/4] virtual environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV) && mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: requirements/cpu.lock | $(STAMPS)/venv
	@echo '== [2/4] packages of the CPU engine, pinned (4 GB on disk, some minutes)'
	@$(PIP) install --progress-bar off --no-deps -r requirements/cpu.lock 2>&1 \
	  | awk -v all="$$(grep -c == requirements/cpu.lock)" -v end="$$([ -t 1 ] && printf '\\r' || printf '\\n')" \
	    '/^Collecting / { printf "  %3d of %d  %-48s%s", ++n, all, $$2, end; fflush() } \
	     /^Installing / { printf "  installing %d packages …%40s\n", n, ""; fflush() } \
	     /^ERROR/ { print; fflush() }'
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  echo "  this index has only the CUDA build of torch; adding the libraries that it needs (some GB)"; \
	  $(PIP) install --quiet "$$(grep ^torch== requirements/cpu.lock)"; }
	@touch $@

$(STAMPS)/fathom: pyproject.toml | $(STAMPS)/packages
	@echo '== [3/4] fathom itself'
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: requirements/dev.lock | $(STAMPS)/fathom
	@echo '== tools for tests and checks'
	@$(PIP) install --quiet --no-deps -r requirements/dev.lock
	@touch $@

$(STAMPS)/model: engine/models/resolution.py | $(STAMPS)/fathom
	@echo '== [4/4] the bundled model (98 MB, converted once) and how fast this machine reads with it'
	@$(BIN)/fathom models pull
	@touch $@
