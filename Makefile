# The front door. Every target sets up what it needs on a fresh machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# SET="data=own data.path=reviews.csv" composes another configuration.
SET ?=

.PHONY: help setup repro params benchmark test test-all lint format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY)  ## create .venv with every package at its locked version

$(READY): requirements/cpu.txt requirements/dev.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade "pip==$(shell sed -n 's/^pip==//p' requirements/dev.txt)"
	@# No dependency resolution: the lock is complete, and vLLM's metadata asks for vision packages that text never needs.
	$(VENV)/bin/python -m pip install --no-deps -r requirements/cpu.txt -r requirements/dev.txt
	touch $@

repro: $(READY)  ## rebuild everything that is out of date: labels, student, metrics
	dvc repro
	@python -m stages.headline

params: $(READY)  ## compose params.yaml from conf/ (SET="group=option key=value")
	python -m stages.compose $(SET)

benchmark: $(READY)  ## measure latency and throughput on this machine, now
	dvc repro --single-item --force benchmark
	@dvc metrics show metrics/benchmark.json

test: $(READY)  ## fast tests, then the real chain on a handful of reviews
	python -m pytest -m "not slow"

test-all: $(READY)  ## all tests, slow ones too
	python -m pytest

lint: $(READY)  ## ruff, mypy, import-linter
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: $(READY)  ## format the code
	ruff check --fix .
	ruff format .

clean:  ## remove the environment and tool caches (data and weights stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
