# The whole toolbox; `make` or `make help` lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PYTHONUNBUFFERED := 1
# Images often forbid to write bytecode: hundreds of processes of the tests would each compile all of ours.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-agrees test lint types clickhouse-go lock asyncapi fixtures dashboards browser screenshots truth freshness generators \
        omission middleware served audit memory large-bodies worker-speed reading painting planted coverage soak faults faults-short bench-tools clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.run  ## load and profile the sample shop, then say which function stops it (about 2 minutes)
	$(BIN)/loadflame demo

demo-agrees: $(VENV)/.dev  ## the demo three times in a row: does each find what was planted? (5 minutes)
	$(BIN)/python -m benchmarks.demo_agrees

# Tests and faults wait more than they work, and have what the other leaves; lint and types have what both leave. What
# runs in the background does not hear of Ctrl-C, and is told.
test: $(VENV)/.dev  ## lint, types, every test, and the short form of the fault campaign
	@mkdir -p .cache; echo "Beside the tests: lint and types (.cache/checks.txt), a few faults (.cache/faults.txt)."; \
	nice $(MAKE) --no-print-directory -j2 --output-sync=target lint types clickhouse-go >.cache/checks.txt 2>&1 & checks=$$!; \
	$(BIN)/python -m tests.faults --short >.cache/faults.txt 2>&1 & faults=$$!; \
	trap 'kill $$checks $$faults; wait; exit 130' INT TERM; \
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m "not alone"; tested=$$?; \
	wait $$checks; checked=$$?; wait $$faults; endured=$$?; \
	cat .cache/checks.txt .cache/faults.txt; test $$tested$$checked$$endured = 000 || { \
	echo "Exit codes: tests $$tested, lint and types $$checked, faults $$endured."; exit 1; }
	$(BIN)/python -m pytest -m alone $$(grep -rlF mark.alone tests --include='test_*.py')

browser:  ## install Debian's Chromium, which the page is tested with
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core

screenshots: $(VENV)/.dev  ## pictures of every view of the page, into docs/page
	$(BIN)/python -m tests.browser.screenshots

faults: $(VENV)/.dev  ## the fault campaign: hundreds of kills and outages, nothing lost or repeated; can be resumed
	$(BIN)/python -m tests.faults.fuzzing 60
	$(BIN)/python -m tests.faults

faults-short: $(VENV)/.dev  ## a few of each fault (4 minutes)
	$(BIN)/python -m tests.faults --short

lint: $(VENV)/.dev  ## style (ruff) and the rooms' import rule (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

clickhouse-go: $(VENV)/.dev  ## the client in Go that the gateway is tested with (a minute the first time)
	$(BIN)/python -m tests.support.go_client

asyncapi: $(VENV)/.dev  ## write schemas/asyncapi.yaml from the code, and hold it against what v1 promised
	$(BIN)/python -m schemas.compatibility
	$(BIN)/python -m schemas.asyncapi

fixtures: $(VENV)/.dev  ## write the events of a recorded run for other teams' tests, into schemas/fixtures
	$(BIN)/python -m tests.support.record_events

dashboards: $(VENV)/.dev  ## write what Grafana is provisioned with (views/grafana) from the code
	$(BIN)/loadflame dashboards export views/grafana

truth: $(VENV)/.dev  ## CPU found / CPU true per function, backend and kind of service (minutes)
	$(BIN)/python -m benchmarks.truth

freshness: $(VENV)/.dev  ## seconds from a request's completion to its row and its joined window
	$(BIN)/python -m benchmarks.freshness

generators: $(VENV)/.dev  ## requests/s on one core beside k6, vegeta, Locust and wrk (those that are there)
	$(BIN)/python -m benchmarks.generators

omission: $(VENV)/.dev  ## is a stall of the service seen as long as it was? beside closed-loop tools (5 minutes)
	$(BIN)/python -m benchmarks.omission

middleware: $(VENV)/.dev  ## what the middleware costs a service: CPU per request with it over without it (5 minutes)
	$(BIN)/python -m benchmarks.middleware

served: $(VENV)/.dev  ## who pays for which function as it is seen on threads, beside what the functions say (3 minutes)
	$(BIN)/python -m benchmarks.served

audit: $(VENV)/.dev  ## latency and send times against the kernel's timestamps on loopback (needs CAP_NET_RAW)
	$(BIN)/python -m benchmarks.audit

memory: $(VENV)/.dev  ## does a load's memory grow at 5,000 requests/s? (10 minutes)
	$(BIN)/python -m benchmarks.memory

large-bodies: $(VENV)/.dev  ## memory of a load under bodies of 1 GiB, up and down
	$(BIN)/python -m benchmarks.large_bodies

worker-speed: $(VENV)/.dev  ## outcomes/s of one worker on one core, from Kafka to the store, beside Quix Streams
	$(BIN)/python -m benchmarks.worker

reading: $(VENV)/.dev  ## p50 and p95 of every query of page and dashboards over a 24-hour soak at 10,000 requests/s (8 minutes)
	$(BIN)/python -m benchmarks.reading

painting: $(VENV)/.dev  ## first paint and flame graphs of the page in Chromium, over the same soak (6 minutes)
	$(BIN)/python -m benchmarks.painting

MINUTES ?= 30
planted: $(VENV)/.dev  ## is what was planted found, and nothing else? MINUTES=60 more of a campaign of hours, ONLY=scan,tail of it
	$(BIN)/python -m benchmarks.planted --minutes $(MINUTES) $(if $(ONLY),--only $(ONLY)) --page docs/planted.md

coverage: $(VENV)/.dev  ## do the intervals of growth hold the truth? thinned runs that `planted` kept, and generators
	$(BIN)/python -m benchmarks.coverage --page docs/coverage.md

soak: $(VENV)/.dev  ## memory, lag, freshness and disk over MINUTES=30 at 2,000 requests/s (SERVER=1: a store server)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(if $(SERVER),--server)

TOOLS := $(CURDIR)/.cache/bench-tools
bench-tools:  ## install what is compared with: nginx and wrk (Debian), k6 and vegeta (Go), Locust and Quix Streams (PyPI)
	apt-get install -y --no-install-recommends nginx-light wrk
	GOBIN=$(TOOLS)/bin go install go.k6.io/k6@v1.8.1
	GOBIN=$(TOOLS)/bin go install github.com/tsenart/vegeta/v12@v12.13.0
	$(PYTHON) -m venv $(TOOLS)/locust && $(TOOLS)/locust/bin/pip install --quiet locust==2.47.0
	ln -sf $(TOOLS)/locust/bin/locust $(TOOLS)/bin/locust
	$(PYTHON) -m venv $(TOOLS)/quix && $(TOOLS)/quix/bin/pip install --quiet quixstreams==3.28.1 pyarrow==26.0.1

lock: $(VENV)/.dev  ## pin every package by hash (no index is named in the files)
	$(BIN)/uv pip compile pyproject.toml --extra all --group build $(LOCK) -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra all --group dev -c requirements/run.txt $(LOCK) -o requirements/dev.txt
# pandas (12 MB) is left out: chDB asks for it, and only for data frames, which nobody here makes.
LOCK := --no-emit-package pandas --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean:  ## remove the virtual environment and every cache of the project
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A virtual environment with the pinned packages of one purpose, made again when the pins change.
$(VENV)/.run: requirements/run.txt
	@echo "Setting up $(VENV): downloads about 343 MB of Python packages from your package index (chDB is 182 MB of it)."
	$(call environment)
	$(PIP) --require-hashes --no-deps --only-binary :all: -r $<
	$(call ours,$@)

$(VENV)/.dev: requirements/dev.txt
	@echo "Setting up $(VENV): downloads about 452 MB of Python packages from your package index (chDB is 182 MB of it)."
	$(call environment)
	@$(BIN)/python -m tests.support.packages $<
	$(call ours,$@)
	@touch $(VENV)/.run

PIP := @$(BIN)/python -m pip install --quiet --disable-pip-version-check

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "loadflame needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
endef

define ours
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $1
endef
