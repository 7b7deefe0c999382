# Two commands:   make book   and   make test
# PYTHON=/path/to/python3.11 chooses the interpreter; JOBS=4 the test workers.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: help book test pages check lint slow serve lock readme picture clean distclean env bench bench-cp4

VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
JOBS ?= auto
PORT ?= 8000

STANDIN := data/exemplar-001-stand-in.ome.tif
LOCAL := results/local
PROFILED := $(LOCAL)/.exemplar-001-stock
PAGES := _build/html/index.html
MEASURED := notebooks/profile.ipynb $(shell find src/tbscale/bench -name '*.py' 2>/dev/null)

help:
	@echo 'make book    measure Cellpose on a stand-in of exemplar-001 here, and build the book with it'
	@echo 'make test    the default test suite'
	@echo 'make env     .venv with the locked versions; what needs it makes it first'
	@echo 'make pages   build the book from the committed records only, strictly;  make check: check it'
	@echo 'make serve   the built book at http://127.0.0.1:$(PORT)'
	@echo 'make lint    ruff and mypy;  make slow: also the large planes'
	@echo 'make readme  write the headline table into README.md;  make picture: draw its picture'
	@echo 'make bench   time every step against Cellpose 3;  make bench-cp4: and against Cellpose 4'
	@echo 'make lock    write requirements.lock'
	@echo 'make clean   remove the built book and caches;  make distclean: the environment and data too'

# --- environment ---------------------------------------------------------------------------------
env: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml tools/make_env.sh
	@PYTHON='$(PYTHON)' sh tools/make_env.sh $(VENV)
	@touch $@

# --- book ----------------------------------------------------------------------------------------
book: $(INSTALLED) $(PROFILED)
	@echo '== book: building the pages, with the record of this machine'
	@$(RUN)/tbscale book build --with $(LOCAL)

pages: $(INSTALLED)
	@$(RUN)/tbscale book build

check: $(INSTALLED)
	@$(RUN)/tbscale book check _build/html

$(STANDIN): | $(INSTALLED)
	@echo '== stand-in: writing $@'
	@mkdir -p $(@D)
	@$(RUN)/tbscale data stand-in exemplar-001 --out $@

$(PROFILED): $(STANDIN) $(MEASURED) | $(INSTALLED)
	@echo '== profile: Cellpose on the stand-in, every pass in a fresh process (minutes)'
	@$(RUN)/tbscale profile exemplar-001 --image $(STANDIN) --engine stock --out $(LOCAL)
	@touch $@

serve: $(INSTALLED)
	@test -f $(PAGES) || { echo 'tbscale: no book yet; run make book or make pages first' >&2; exit 2; }
	@echo 'http://127.0.0.1:$(PORT)  (ctrl-C to stop)'
	@$(RUN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

# --- checks --------------------------------------------------------------------------------------
test: $(INSTALLED)
	@$(RUN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 12

slow: $(INSTALLED)
	@$(RUN)/python -m pytest --slow

lint: $(INSTALLED)
	@status=0; \
	for command in 'ruff check .' 'ruff format --check .' mypy; do \
	    echo "== lint: $$command"; $(RUN)/$$command || status=1; \
	done; exit $$status

# --- benchmarks: minutes on an idle machine; records go to $(LOCAL) unless OUT says otherwise --------
CP4 := .venv-cp4
OUT ?= $(LOCAL)
REPEATS ?= 5

$(CP4)/.installed: tools/make_env_cp4.sh | $(INSTALLED)
	@PYTHON='$(PYTHON)' sh tools/make_env_cp4.sh $(CP4)
	@touch $@

bench: $(STANDIN) | $(INSTALLED)
	@$(RUN)/python -W ignore benchmarks/steps.py exemplar-001 --image $(STANDIN) \
	    --repeats $(REPEATS) --out $(OUT)

bench-cp4: $(STANDIN) $(CP4)/.installed | $(INSTALLED)
	@$(RUN)/python -W ignore benchmarks/steps.py exemplar-001 --image $(STANDIN) \
	    --repeats $(REPEATS) --out $(OUT) --cp4 $(CP4)/bin/python
	@$(RUN)/python -W ignore benchmarks/traps.py exemplar-001 --image $(STANDIN) \
	    --out $(OUT) --cp4 $(CP4)/bin/python

# --- files that are written, and committed ---------------------------------------------------------
lock:
	@$(RUN)/python tools/lock.py

picture: $(STANDIN)
	@mkdir -p notebooks/images work
	@rm -rf work/exemplar-001-cells.ome.tif work/report.html
	@$(RUN)/tbscale segment $(STANDIN) work/exemplar-001-cells.ome.tif --restart --network fast --report work/report.html
	@$(RUN)/tbscale book picture $(STANDIN) work/exemplar-001-cells.ome.tif --out notebooks/images/cells.png
	@chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1150 \
	    --user-data-dir=work/chromium --screenshot=notebooks/images/report.png \
	    "file://$(CURDIR)/work/report.html" 2>/dev/null

readme: $(INSTALLED)
	@$(RUN)/tbscale book readme

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(CP4) data work $(LOCAL)
