# The front door. Every target sets up what it needs on a fresh machine with Python 3.11 to 3.13 and make.
# The first that runs and can make environments. 3.11 goes first: it made every figure in docs/.
PYTHON ?= $(firstword $(foreach minor,11 12 13,$(shell python3.$(minor) -c \
	'import ensurepip, venv; print("python3.$(minor)")' 2>/dev/null)))
NO_PYTHON = No Python 3.11, 3.12 or 3.13 with venv was found. Install one (Debian, Ubuntu: python3.11 and \
	python3.11-venv), or name it: make setup PYTHON=/path/to/python
WRONG_PYTHON = $(PYTHON) does not run or is no Python 3.11, 3.12 or 3.13; name another: make setup PYTHON=/path/to/python
# `make repro` ends by saying how long it took, with setting up.
BEGAN := $(shell date +%s)
VENV := .venv
READY := $(VENV)/.ready
# `make setup-gpu` leaves this mark, and every later target keeps to that extra of uv.lock.
EXTRA := $(if $(wildcard $(VENV)/.gpu),gpu,cpu)
# So does `make setup-scale`, beside either.
SCALE := $(if $(wildcard $(VENV)/.scale),--extra scale)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Many containers set it. Without it thirty stages, a process each, do not compile torch and vLLM each anew.
unexport PYTHONDONTWRITEBYTECODE
# SET="data=own data.path=reviews.csv" composes another configuration.
SET ?=
# By the environment, unread by make and shell: a file's name may have brackets, quotes and dollars.
export OVERRIDES := $(value SET)
N ?= 100
ANSWERS ?=
export ANSWERS_FILE := $(value ANSWERS)
# The same for `make report COMPARE=main`: a branch has a name as free as a file.
COMPARE ?=
export COMPARED := $(value COMPARE)

# Two processes: while one waits for a model to load, the other computes.
WORKERS := --numprocesses 2 --dist loadfile

.PHONY: help setup setup-gpu setup-scale lock doctor pin cache repro smoke preview params annotate serve publish report benchmark \
	deps test test-all lint format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY)  ## create .venv with every package at its locked version, checked by SHA-256

setup-gpu: | $(VENV)/bin/python  ## the same with ordinary vLLM, for NVIDIA cards; replaces what was there for the CPU
	test -e $(VENV)/.gpu || rm -f $(READY)
	touch $(VENV)/.gpu
	$(MAKE) setup

setup-scale: | $(VENV)/bin/python  ## adds Ray, for replicas of a model on several cards or machines (docs/scale.md)
	@test -e $(VENV)/.scale || rm -f $(READY)
	@touch $(VENV)/.scale
	@$(MAKE) --no-print-directory setup

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "$(WRONG_PYTHON)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Without Git, as in an unpacked ZIP, DVC refuses to work unless it is told so.
.dvc/config.local:
	@test -e .git || git ls-files --error-unmatch dvc.yaml >/dev/null 2>&1 || { printf '[core]\n    no_scm = true\n' > $@; \
		echo "No Git here: all works but what compares or queues runs (dvc exp, dvc metrics diff). For these, clone, or" \
		"git init and delete $@"; }

$(READY): uv.lock pyproject.toml requirements/uv.txt | .dvc/config.local $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/uv.txt
ifeq ($(EXTRA),cpu)
	@# pip's own sources (pip.conf, PIP_FIND_LINKS) may have torch's build for the CPU, and uv does not ask them.
	@$(VENV)/bin/uv export --quiet --locked --extra cpu | sed -n '/^torch==/,/[^\\]$$/p' > $(VENV)/torch.txt
	@$(VENV)/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes -r $(VENV)/torch.txt 2>/dev/null \
		|| echo "pip's sources have no torch $$(sed -n 's/^torch==\([^ ]*\).*/\1/p' $(VENV)/torch.txt): uv fetches it from PyTorch's index"
endif
	$(VENV)/bin/uv sync --locked --extra $(EXTRA) $(SCALE)
	touch $@

repro: $(READY)  ## rebuild everything that is out of date: labels, student, metrics
	@python -m stages.unlock
	dvc repro
	@python -m stages.headline --since $(BEGAN)

# By its absolute path: from there, a relative one would lead elsewhere.
smoke: $(READY)  ## the whole chain on 20 of your reviews, in .smoke/, apart from your results (SET as of params)
	@python -m stages.smoke --line="$$OVERRIDES"
	@export RAZMETKA_CACHE="$$(python -m stages.cache --folder)" && cd .smoke && \
		python -m stages.unlock && dvc repro && python -m stages.headline --times && python -m stages.smoke --tell

N ?= 20
preview: $(READY)  ## what becomes of N=20 of your reviews, and what all would cost, before a long run (SET as of params)
	@python -m stages.preview --number $(N) --line="$$OVERRIDES"
	@export RAZMETKA_CACHE="$$(python -m stages.cache --folder)" && cd .preview && \
		python -m stages.unlock && dvc repro generate && python -m stages.preview --tell

publish: $(READY)  ## student and dataset to the Hugging Face hub (TO=you/name), or into a ZIP without TO (ARGS=--dry-run)
	@python -m stages.publish $(if $(TO),--to "$(TO)") $(ARGS)

doctor: $(READY)  ## what this machine has, which profiles it can run, what params.yaml needs
	@python -m stages.doctor

pin: $(READY)  ## write the commits of unpinned hub models into conf/
	python -m stages.pin

cache: $(READY)  ## what is kept between runs (ARGS="--prune --older-than 30" or ARGS=--check)
	@python -m stages.cache $(ARGS)

annotate: $(READY)  ## draw reviews worth checking (N=100), or take answers back (ANSWERS=file); docs/annotating.md
	@python -m stages.annotate $(if $(value ANSWERS),--answers="$$ANSWERS_FILE",--rows=$(N)) $(ARGS)

params: $(READY)  ## compose params.yaml from conf/ (SET="group=option key=value")
	python -m stages.compose --line="$$OVERRIDES"

report: $(READY)  ## the page of the last run: data/report/report.html (COMPARE=revision: what changed since, too)
	dvc repro --single-item report
	@echo data/report/report.html
	@test -z "$$COMPARED" || python -m stages.compare -- "$$COMPARED"

benchmark: $(READY)  ## measure latency and throughput on this machine, now
	dvc repro --single-item --force benchmark
	@cat data/latency/latency.json

serve: $(READY)  ## the student as a service, and pages in a browser: http://127.0.0.1:8000 (ARGS="--port 8080")
	@python -m stages.serve $(ARGS)

lock: $(READY)  ## resolve uv.lock anew from pyproject.toml; versions stay where they still fit
	uv lock

deps: $(READY)  ## write the code that each stage runs into dvc.yaml, after an import has changed
	python -m tests.code_deps

test: setup-scale  ## fast tests, then the real chain on a handful of reviews
	python -m pytest -m "not slow" $(WORKERS)

test-all: setup-scale  ## all tests, slow ones too
	python -m pytest $(WORKERS) --hypothesis-profile explore

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
