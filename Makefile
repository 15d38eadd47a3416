# Two commands matter: `make book` builds the book, `make test` proves it. Both set up .venv from the pins when it is missing.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
# What computes takes the pins of errref/pins.py; tests take them afresh, whatever the caller has set.
PINNED := $(RUN) -m errref.pins
AFRESH := $(PINNED) --afresh

.PHONY: help book pdf test lint data lab notebooks record metadata archive bench test-foreign test-long clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(READY): requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

book: $(READY)  ## the book, into _build/html
	$(RUN) tools/notebooks.py --check
	$(PINNED) $(VENV)/bin/jupyter-book build . -W -n --keep-going --quiet
	@echo "The book is at _build/html/index.html"

pdf: $(READY)  ## the book as one PDF, printed by Chromium into _build/errref.pdf
	$(RUN) tools/notebooks.py --check
	$(PINNED) $(RUN) tools/pdf.py

test: $(READY) lint  ## everything that must hold
	$(RUN) tools/notebooks.py --check
	$(AFRESH) $(RUN) -m pytest -n 2 --dist loadfile -m "not long"

test-foreign: $(READY)  ## what compares measured numbers, once more, as a machine that rounds otherwise
	$(PINNED) --none env OPENBLAS_CORETYPE=Prescott $(RUN) -m pytest -n 2 --dist loadfile -m "numbers and not long"

lint: $(READY)
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache

data: $(READY)  ## the images of the chapter on Fashion-MNIST; everything else works without them
	$(VENV)/bin/errref data

lab: $(READY)  ## the chapters in JupyterLab
	$(PINNED) $(VENV)/bin/jupyter lab book $(if $(filter 0,$(shell id -u)),--allow-root)

notebooks: $(READY)  ## execute the chapters that are stale
	$(PINNED) $(RUN) tools/notebooks.py

record: $(READY)  ## record what is missing of every experiment
	for name in intuition isodata functions rivals forgetting traps fashion own_data; do $(VENV)/bin/errref run $$name || exit; done
	$(VENV)/bin/errref run multiverse --backend processes && $(VENV)/bin/errref pack multiverse

metadata: $(READY)  ## what catalogues read: .zenodo.json, codecheck.yml, metadata.yaml
	$(RUN) -m tools.metadata

archive: $(READY)  ## source, rows, pins and the book, built from scratch, in one file: _build/errref-VERSION.tar.gz
	rm -rf _build/html _build/.doctrees
	$(MAKE) book
	$(PINNED) $(RUN) -m tools.archive

bench: $(READY)  ## speed, side by side with peers, as ratios
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[bench]
	$(PINNED) $(RUN) -m benchmarks

test-long: $(READY)  ## what takes too long for `make test`
	$(AFRESH) $(RUN) -m pytest -m long --timeout 0

clean:  ## remove what was built, not the environment
	rm -rf _build
