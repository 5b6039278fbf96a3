# The front door. Every target sets up what it needs on a fresh machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/.ready
# `make setup-gpu` leaves this mark, and every later target keeps to that lock.
LOCK := $(if $(wildcard $(VENV)/.gpu),gpu,cpu)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# SET="data=own data.path=reviews.csv" composes another configuration.
SET ?=

# Two processes: while one waits for a model to load, the other computes.
WORKERS := --numprocesses 2 --dist loadfile

.PHONY: help setup setup-gpu doctor pin repro params report benchmark deps test test-all lint format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY)  ## create .venv with every package at its locked version

setup-gpu:  ## the same with ordinary vLLM, for NVIDIA cards; replaces a .venv made for the CPU
	@# From nothing: to pip a CPU build of torch is the same version, and both builds of vLLM own the same files.
	test -e $(VENV)/.gpu || rm -rf $(VENV)
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	touch $(VENV)/.gpu
	$(MAKE) setup

$(READY): requirements/$(LOCK).txt requirements/dev.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade "pip==$(shell sed -n 's/^pip==//p' requirements/dev.txt)"
	@# No dependency resolution: the lock is complete, and vLLM's metadata asks for vision packages that text never needs.
	$(VENV)/bin/python -m pip install --no-deps -r requirements/$(LOCK).txt -r requirements/dev.txt
	touch $@

repro: $(READY)  ## rebuild everything that is out of date: labels, student, metrics
	dvc repro
	@python -m stages.headline

doctor: $(READY)  ## what this machine has, which profiles it can run, what params.yaml needs
	@python -m stages.doctor

pin: $(READY)  ## write the commits of unpinned hub models into conf/
	python -m stages.pin

params: $(READY)  ## compose params.yaml from conf/ (SET="group=option key=value")
	python -m stages.compose $(SET)

report: $(READY)  ## the page of the last run: data/report/report.html
	dvc repro --single-item report
	@echo data/report/report.html

benchmark: $(READY)  ## measure latency and throughput on this machine, now
	dvc repro --single-item --force benchmark
	@cat data/latency/latency.json

deps: $(READY)  ## write the code that each stage runs into dvc.yaml, after an import has changed
	python -m tests.code_deps

test: $(READY)  ## fast tests, then the real chain on a handful of reviews
	python -m pytest -m "not slow" $(WORKERS)

test-all: $(READY)  ## all tests, slow ones too
	python -m pytest $(WORKERS)

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
