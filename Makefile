# Two commands do everything: `make run` and `make test`.
# PYTHON chooses the interpreter (3.11 or newer) that makes the virtual environment.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
NEW_ENOUGH := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "ccproxy needs Python 3.11 or newer; choose one with: make run PYTHON=python3.12"; exit 1; }

.PHONY: clean-root run serve test quick tellings test-matrix lock sbom package check bench bench-admin bench-cache bench-storage bench-tls mutants aborts chaos soak drill compat fuzz messages clean
.DEFAULT_GOAL := help

help:
	@echo "make run    install, migrate, serve on http://127.0.0.1:8082 (or HOST and PORT from .env)"
	@echo "make test   install what the tests need and run all of them, then those that depend on the database on PostgreSQL"
	@echo "make test-matrix  the tests on the oldest and the newest Python of this machine that is supported"
	@echo "make quick  the tests of the core alone, with few examples, in a minute"
	@echo "make tellings  10,000 answers, each told in a provider's manner and cut anywhere"
	@echo "make check  lint, types, import contracts, migrations, deployment checks"
	@echo "make serve  the server alone, in an installed environment"
	@echo "make aborts 2,000 clients that go away, in every phase of a request (docs/reliability.md)"
	@echo "make chaos  kill processes and stop the database under load, and count what is lost; make soak: for long"
	@echo "make drill  stop database and Redis and fill the disk under load: what failed, what is missing"
	@echo "make clean-root  the installation of docs/operations.md, word by word, in a clean Debian; takes root and debootstrap"
	@echo "make compat COMPAT=2.1.332  the real Claude Code against a gateway: docs/compatibility.md; the newest without COMPAT"
	@echo "make fuzz   MINUTES=10  random input for everything that reads what strangers send"
	@echo "make mutants MODULE=gateway/wire/request_cache.py  small changes of a module that no test notices"
	@echo "make bench-admin ROWS=1000000  fill the empty database of DATABASE_URL, and measure the admin's pages"
	@echo "make bench-storage  what 200 turns of a session take in the database, on SQLite and PostgreSQL"
	@echo "make lock   resolve the lock files anew; make sbom: what they install, as CycloneDX; make package: a wheel"
	@echo "make bench-cache  what agent sessions read from each provider's prompt cache, and at best (docs/caching.md)"
	@echo "make bench-tls  the first text over TLS: a new connection, a resumed session, a warm connection"
	@echo "make messages  gather the strings for translation into gateway/locale, and compile them"
	@echo "make bench  measure the gateway against nginx; make bench PEERS=1: against all (docs/performance.md)"

$(VENV)/.installed: requirements.lock requirements-optional.lock
	@$(NEW_ENOUGH)
	@$(PYTHON) ccproxy_site/installation.py $(VENV) requirements.lock --optional requirements-optional.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock
	@$(NEW_ENOUGH)
	@$(PYTHON) ccproxy_site/installation.py $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.installed

run: $(VENV)/.installed
	@exec $(MANAGE) run

serve: $(VENV)/.installed
	@exec $(MANAGE) serve

PYTEST := $(BIN)/python -m pytest
# One worker more than there are cores, because many tests wait for a process or a clock. Each has a part of
# the tests as they are listed, so that what the tests of a module share is made once.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))')
ALL      = -n $(WORKERS) --dist worksteal
# the second run reads what the first one compiled, whatever the environment says of writing it
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.installed-dev
	@$(PYTEST) $(ALL)
	@echo "And those that depend on the database again, on PostgreSQL and Redis ..."
	@$(BIN)/python -m chaos.engines $(PYTEST) $(ALL)

# 3.14 is locked; it joins where a machine has it
# on the PATH, or below pyenv's folder
python_of = $(firstword $(shell python$(1) -c 'import sys; print(sys.executable)' 2>/dev/null) \
	$(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1)))
PYTHONS := $(foreach version,3.11 3.12 3.13 3.14,$(if $(call python_of,$(version)),$(version)))
ENDS    := $(sort $(firstword $(PYTHONS)) $(lastword $(PYTHONS)))

test-matrix:
	@$(foreach version,$(ENDS),echo "On Python $(version) ..." && \
		$(MAKE) --no-print-directory $(VENV)-$(version)/.installed-dev VENV=$(VENV)-$(version) \
			PYTHON=$(call python_of,$(version)) && $(VENV)-$(version)/bin/python -m pytest $(ALL) &&) true

# what makes a release: in an environment of its own, because none of it is needed to serve or to test
RELEASE := $(VENV)-release/bin

$(RELEASE)/uv: requirements-release.lock
	@$(PYTHON) ccproxy_site/installation.py $(VENV)-release requirements-release.lock
	@touch $@

RESOLVE = $(RELEASE)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
# what the environments of pyproject.toml say of every package
SAID    := s/ ; python_full_version < .3.15. and implementation_name == .cpython. and platform_python_implementation == .CPython. and \(sys_platform == .darwin. or sys_platform == .linux.\)//; s/ and implementation_name == .cpython. and platform_python_implementation == .CPython. and \(sys_platform == .darwin. or sys_platform == .linux.\)//

# LOCK="--upgrade" takes the newest that the bounds allow; else what is locked stays as far as it fits
lock: $(RELEASE)/uv
	$(RESOLVE) $(LOCK) requirements-dev.txt -o requirements-dev.lock >/dev/null
	$(RESOLVE) -c requirements-dev.lock requirements.txt -o requirements.lock >/dev/null
	$(RESOLVE) -c requirements-dev.lock requirements-optional.txt -o requirements-optional.lock >/dev/null
	$(RESOLVE) $(LOCK) requirements-release.txt -o requirements-release.lock >/dev/null
	$(RESOLVE) -c requirements-release.lock requirements-installer.txt -o requirements-installer.lock >/dev/null
	sed -i.old -E "$(SAID)" requirements*.lock && rm -f requirements*.lock.old

sbom: $(RELEASE)/uv
	@mkdir -p dist
	@$(RELEASE)/cyclonedx-py requirements --pyproject pyproject.toml --of JSON -o dist/ccproxy.cdx.json requirements.lock
	@echo "dist/ccproxy.cdx.json"

package: $(RELEASE)/uv
	@$(RELEASE)/python -m build --wheel --no-isolation --outdir dist .

# the rooms that need neither a server nor a database
CORE := tests/conversion tests/wire tests/routing tests/pricing tests/test_values.py tests/test_architecture.py

quick: $(VENV)/.installed-dev
	@EXAMPLES=0.05 $(PYTEST) -n 2 $(CORE)

# 10,000 answers, each told in a provider's manner and cut anywhere
tellings: $(VENV)/.installed-dev
	@EXAMPLES=167 $(PYTEST) -n 2 --timeout 3600 tests/conversion/test_tellings.py

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

# database, Redis and disk fail under load and come back
drill: $(VENV)/.installed-dev
	@$(BIN)/python -m chaos.drill $(DRILL)

# the real client, version by version; needs npm, tmux, nginx and mount namespaces
compat: $(VENV)/.installed
	@$(BIN)/python -m compat.run $(COMPAT)

# docs/operations.md, "One machine", word by word in a clean Debian; takes root
clean-root: $(VENV)/.installed-dev
	@$(BIN)/python -m chaos.clean_root $(CLEAN_ROOT)

soak: $(VENV)/.installed
	@$(BIN)/python -m chaos.run soak --minutes $(or $(MINUTES),10) $(CHAOS)

fuzz: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10) $(FUZZ)

mutants: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.mutants $(MODULE)

bench-cache: $(VENV)/.installed
	@$(BIN)/python -m bench.prompt_caching.run --each

bench-tls: $(VENV)/.installed-dev
	@$(BIN)/python -m bench.first_text_tls

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
