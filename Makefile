# ESR Bridge. `make` alone lists what can be done.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := .venv/bin

.PHONY: help install demo demo-console drill browser test test-fast e2e lint types check format up bench bench-national bench-nation bench-search crash-points fuzz histories five-years month million big-file faulty-files clean

help: ## list what can be done
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: .venv/.ready ## install everything the project needs into the project folder (.venv, .tools)

.venv/.ready: pyproject.toml uv.lock deploy/local/install
	@deploy/local/install
	@touch $@

demo: .venv/.ready ## run three nights of an invented trust of 2,000 people, in one process (folder demo/)
	@$(RUN)/esrbridge demo demo
	@echo "Its pages: make demo-console, then http://127.0.0.1:8106"

demo-console: .venv/.ready ## serve the operators' pages of the demo on http://127.0.0.1:8106
	@$(RUN)/python -m esrbridge.console demo

drill: .venv/.ready ## seed five incidents for an operator to clear, with a task sheet (folder .drill/); see docs/operating.md
	@$(RUN)/python -m esrbridge.drill .drill

test: .venv/.ready ## run every test, on real RabbitMQ, PostgreSQL and Chromium; starts what is not there
	@deploy/local/need-rabbitmq
	@deploy/local/need-server sshd openssh-server "OpenSSH's server"
	@deploy/local/need-server slapd slapd "OpenLDAP's server"
	@$(RUN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
	@if deploy/local/need-browser; then $(MAKE) --no-print-directory browser; \
		else echo "No browser to be had: tests/browser is left out."; fi

browser: .venv/.ready ## use the operators' pages in a real Chromium, with axe and by keyboard
	@deploy/local/need-browser
	@deploy/local/need-rabbitmq
	@$(RUN)/python -m pytest -n auto --maxprocesses 2 --dist loadfile tests/browser

test-fast: .venv/.ready ## run the unit tests only
	@$(RUN)/python -m pytest tests/unit -q

e2e: .venv/.ready ## run the end-to-end tests only: the whole loop, in one process and in many
	@deploy/local/need-rabbitmq
	@$(RUN)/python -m pytest tests/e2e

lint: .venv/.ready ## check style and the import contracts
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/lint-imports

types: .venv/.ready ## check types, tests included
	@$(RUN)/mypy

check: lint types test ## everything CI checks

format: .venv/.ready ## format the code
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

fuzz: .venv/.ready ## try every property on 5,000 examples instead of 100 (long)
	@ESRBRIDGE_TEST_EXAMPLES=5000 $(RUN)/python -m pytest tests/unit -k "esr or lms_csv" -q

histories: .venv/.ready ## live through a million steps of invented histories, in no order (long)
	@ESRBRIDGE_TEST_STEPS=1000000 ESRBRIDGE_TEST_PARTS=2 $(RUN)/python -m pytest tests/service/test_people_histories.py -q -s -n 2

five-years: .venv/.ready ## live five years of nights with a thousand people, ESR and a Totara (long)
	@ESRBRIDGE_TEST_PEOPLE=1000 ESRBRIDGE_TEST_DAYS=1826 $(RUN)/python -m pytest tests/service/test_five_years.py -q -s

month: .venv/.ready ## live a month of twenty trusts with lost, late and damaged files and sudden deaths (long)
	@ESRBRIDGE_TEST_TRUSTS=20 ESRBRIDGE_TEST_PEOPLE=20 ESRBRIDGE_TEST_DAYS=31 $(RUN)/python -m pytest tests/service/test_month.py -q -s

crash-points: .venv/.ready ## end the process before every single commit, publish and acknowledgement of the story (long)
	@ESRBRIDGE_TEST_CRASH_POINTS=0 $(RUN)/python -m pytest tests/e2e/test_crash_points.py

million: .venv/.ready ## apply a file of a million records of which one is poison (long)
	@ESRBRIDGE_TEST_RECORDS=1000000 $(RUN)/python -m pytest tests/e2e/test_scale_million.py

big-file: .venv/.ready ## split a file of a gigabyte in 150 MiB of memory, and die 40 times while splitting another (long)
	@deploy/local/need-rabbitmq
	@ESRBRIDGE_TEST_MEGABYTES=1000 ESRBRIDGE_TEST_KILLS=40 \
		$(RUN)/python -m pytest tests/e2e/test_scale_memory.py tests/e2e/test_scale_kill.py

faulty-files: .venv/.ready ## account for 10,000 files with faults of every kind (long)
	@ESRBRIDGE_TEST_FAULTY_FILES=10000 $(RUN)/python -m pytest tests/e2e/test_scale_faulty_files.py

bench: .venv/.ready ## run the benchmarks and print ratios (not part of the tests)
	@$(RUN)/python -m bench.reader
	@$(RUN)/python -m bench.publish
	@$(RUN)/python -m bench.loop
	@$(MAKE) --no-print-directory bench-national

bench-national: .venv/.bench ## measure the national night against peers and limits, and write docs/performance.md (a quarter of an hour)
	@deploy/local/need-rabbitmq
	@$(RUN)/python -m bench.national $(BENCH)

bench-nation: .venv/.bench ## the same at the sizes that the goals speak of (a night)
	@deploy/local/need-rabbitmq
	@ESRBRIDGE_BENCH_RECORDS=10000,100000,1000000,5000000 ESRBRIDGE_BENCH_FULL_BESIDE=1000000 \
		ESRBRIDGE_BENCH_CHANGES_QUIET=1000 ESRBRIDGE_BENCH_CHANGES_BESIDE=1000 ESRBRIDGE_BENCH_LETTERS=100000 \
		ESRBRIDGE_BENCH_OUTAGE_SECONDS=3600 ESRBRIDGE_BENCH_OUTAGE_RECORDS=100000 ESRBRIDGE_BENCH_REPLICA_RECORDS=200000 \
		$(RUN)/python -m bench.national $(BENCH)

bench-search: .venv/.ready ## time lists and searches of a million dead letters and five million lines, and write docs/performance.md
	@$(RUN)/python -m bench.search $(BENCH)

.venv/.bench: .venv/.ready
	@$(UV) sync --locked --quiet --inexact --group bench
	@touch $@

up: .venv/.ready ## start PostgreSQL and RabbitMQ for development, in the foreground (folder .local/)
	@$(RUN)/python -m esrbridge.local --dir .local

clean: ## remove what was installed and made here; the demo's folder too
	rm -rf .venv .tools .local .drill demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
