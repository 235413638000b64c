# Set-up and the few commands that people type. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
UV_READY := command -v uv > /dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
unexport VIRTUAL_ENV PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup repro test check verify rulers lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' Makefile | expand -t 18

setup: $(READY)  ## make .venv with the locked packages

repro: $(READY)  ## run the whole study, then print times and results, and whether they are the committed ones
	@difflab repro
	@difflab times
	@difflab results
	@difflab reproduced | tail -n 1

test: $(READY)  ## run every test, the whole pipeline in its smallest size included
	@OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(READY)  ## lint, check types and import layers, and see that params.yaml, dvc.yaml, graphs and README are in order
	@ruff check .
	@ruff format --check --quiet .
	@ty check --quiet
	@lint-imports --no-cache > /dev/null || lint-imports --no-cache
	@difflab compose --check
	@difflab graphs --check
	@difflab readme --check
	@dvc stage list --name-only > /dev/null

verify: $(READY)  ## see that dvc.lock is what this code gives, and that the remote has every output
	@difflab verify

rulers: $(READY)  ## train the networks that score anew and put them into rulers/ (minutes; docs/architecture.md says when)
	@trap 'mv params.yaml.before params.yaml' EXIT; trap 'exit 130' HUP INT PIPE TERM; \
	sed -i.before 's/^  rulers: committed$$/  rulers: retrain/' params.yaml && \
	dvc repro zoo_vision_encoder zoo_classifier && \
	for name in vision_encoder classifier/cifar10 classifier/mnist; do cp -Rf models/zoo/$$name/. rulers/$$name; done

lock: | $(VENV)/.made  ## write requirements.lock after a change of the dependencies in pyproject.toml
	@$(UV_READY)
	@uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra app --generate-hashes --no-emit-index-url \
	  --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	@PYTHONPATH=src $(BIN)/python -m difflab.core.environment
	@PYTHONPATH=src $(BIN)/python -c 'from difflab.cli.main import main; main()' compose

clean:  ## remove what the tools leave behind, but no result and no cache
	@rm -rf $(VENV) .scratch .pytest_cache .ruff_cache .hypothesis dvc_plots

$(READY): requirements.lock pyproject.toml | $(VENV)/.made
	@$(UV_READY)
	@echo 'installing the locked packages into $(VENV): a few GB at the first time, mostly PyTorch (minutes)'
	@uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@echo 'ready: make repro runs the study'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'difflab needs Python >= 3.11: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@
