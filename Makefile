# Two commands do everything: `make run` and `make test`.
# PYTHON chooses the interpreter (3.11 or newer) that makes the virtual environment.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check
MANAGE := $(BIN)/python manage.py

.PHONY: run serve test check bench bench-admin bench-storage mutants aborts chaos soak messages clean
.DEFAULT_GOAL := help

help:
	@echo "make run    install, migrate, serve on http://127.0.0.1:8082 (or HOST and PORT from .env)"
	@echo "make test   install what the tests need and run all of them, then those with a database on PostgreSQL"
	@echo "make check  lint, types, import contracts, migrations, deployment checks"
	@echo "make serve  the server alone, in an installed environment"
	@echo "make aborts 2,000 clients that go away, in every phase of a request (docs/reliability.md)"
	@echo "make chaos  kill processes and stop the database under load, and count what is lost; make soak: for long"
	@echo "make mutants MODULE=gateway/wire/request_cache.py  small changes of a module that no test notices"
	@echo "make bench-admin ROWS=1000000  fill the empty database of DATABASE_URL, and measure the admin's pages"
	@echo "make bench-storage  what 200 turns of a session take in the database, on SQLite and PostgreSQL"
	@echo "make messages  gather the strings for translation into gateway/locale, and compile them"
	@echo "make bench  measure the gateway against nginx; make bench PEERS=1: against all (docs/performance.md)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ccproxy needs Python 3.11 or newer; choose one with: make run PYTHON=python3.12"; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.installed: requirements.txt requirements-optional.txt | $(BIN)/python
	@echo "Installing ccproxy ..."
	@$(PIP) install -r requirements.txt
	@$(PIP) install --only-binary :all: -r requirements-optional.txt || \
		echo "No wheel of an optional package for this system: tokens are estimated more roughly."
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt requirements-optional.txt | $(BIN)/python
	@echo "Installing what the tests need ..."
	@$(PIP) install -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

run: $(VENV)/.installed
	@$(BIN)/python -m ccproxy_site.first_secrets
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@$(MANAGE) setupgateway
	@exec $(MANAGE) serve

serve: $(VENV)/.installed
	@exec $(MANAGE) serve

# Some tests start servers and wait for them; on a machine that is busy with the others they can come
# too late. So what failed beside others is tried once more by itself, and only that counts.
PYTEST := $(BIN)/python -m pytest
ALONE  := -n 0 --last-failed --last-failed-no-failures none

test: $(VENV)/.installed-dev
	@$(PYTEST) -n 2 || { echo "Again, one after the other, what failed beside others:"; $(PYTEST) $(ALONE); }
	@echo "And those that touch the database again, on PostgreSQL and Redis ..."
	@$(BIN)/python -m chaos.engines $(PYTEST) -n 2 || { \
		echo "Again, one after the other, what failed beside others:"; \
		$(BIN)/python -m chaos.engines $(PYTEST) $(ALONE); }

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy ccproxy_site gateway
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	FIELD_ENCRYPTION_KEYS=$$($(BIN)/python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())') \
	SECURE_COOKIES=true $(MANAGE) check --deploy --fail-level WARNING
	$(MANAGE) convert --check tests/vectors/*.json

aborts: $(VENV)/.installed
	@$(BIN)/python -m bench.aborts $(ABORTS)

bench: $(VENV)/.installed
	@$(BIN)/python -m bench.run $(if $(PEERS),--peers) $(BENCH)

chaos: $(VENV)/.installed
	@$(BIN)/python -m chaos.run kill outage $(CHAOS)

soak: $(VENV)/.installed
	@$(BIN)/python -m chaos.run soak --minutes $(or $(MINUTES),10) $(CHAOS)

mutants: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.mutants $(MODULE)

bench-storage: $(VENV)/.installed
	@$(BIN)/python -m bench.storage

# ROWS: how many made-up requests an empty history is filled with first
bench-admin: $(VENV)/.installed
	@$(MANAGE) migrate --verbosity 0
	@$(if $(ROWS),$(MANAGE) seedhistory --rows $(ROWS) --bodies 2000)
	@$(BIN)/python -m bench.admin

# needs gettext's tools; what is new stands in the catalogue untranslated, and the tests ask for it
messages: $(VENV)/.installed
	cd gateway && $(abspath $(BIN))/python ../manage.py makemessages -l zh_Hans --no-location --no-wrap --no-obsolete
	cd gateway && $(abspath $(BIN))/python ../manage.py compilemessages -l zh_Hans

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
