# Everything a newcomer needs is here; `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup servers demo test check corpora fuzz bench fmt requirements crash clean
BIN := .venv/bin
ONCE ?=
WITH ?=
KILLS ?= 300
EXAMPLES ?= 1000
PATHS ?=

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## make .venv with the requirements to run
	@scripts/setup runtime

servers: ## install what the tests' own Kafka, RabbitMQ and PostgreSQL need and is missing
	@scripts/setup dev
	@scripts/servers
	@$(BIN)/python -m tests.servers archive

demo: setup ## the whole job in one command (WITH=kafka,rabbitmq,postgres: real servers take part; ONCE=1: end by itself)
	@ONCE=$(ONCE) $(BIN)/pointsman demo $(if $(WITH),--with '$(WITH)')

check: ## the quick part: format, lint, types, layers, unit and contract tests
	@scripts/setup dev
	@scripts/check quick

test: ## everything CI does (KILLS=n: how many kills the crash suite makes)
	@scripts/setup dev
	@KILLS=$(KILLS) scripts/check all

crash: ## the crash suite alone, KILLS=n times
	@scripts/setup dev
	@KILLS=$(KILLS) scripts/check crash

corpora: ## read and exercise the shared corpora of API descriptions, or your own (PATHS="specs other.zip")
	@scripts/setup dev
	@$(BIN)/python -m tests.corpora.harness $(PATHS)

fuzz: ## search longer for what breaks parsers, writers and matchers (EXAMPLES=1000: percent of the usual examples)
	@scripts/setup dev
	@EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -n 2 --timeout 3600 -m hypothesis tests/unit tests/contract

bench: ## measure: the whole way, ingest, store, match, render, call (WHAT=match: one of them; also rss, sources, backlog)
	@scripts/setup dev
	@$(BIN)/python -m bench $(WHAT)

fmt: ## format the code and mend what can be mended by itself
	@scripts/setup dev
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet .

requirements: ## lock the requirements anew, with hashes
	@scripts/setup dev
	@scripts/lock

clean: ## remove what was made here
	@rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
