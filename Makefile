# Two commands are all: `make demo` and `make test`. The rest is for people who work on Lidmark.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where the demo keeps its data and listens; `make demo LISTEN=0.0.0.0:8080` lets a phone in. The plates then
# lead to this machine's address in its network, or to PLATE_HOST.
DATA ?= demo-data
LISTEN ?= 127.0.0.1:8080
PLATE_HOST ?=

# What is built once and thrown away needs neither what makes a second build quick nor what a debugger reads.
ifdef CI
export CARGO_INCREMENTAL = 0
export CARGO_PROFILE_DEV_DEBUG = none
endif

.PHONY: help demo test deps lint fmt bench year schemathesis fuzz tour

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: ## a city from real open data, served on http://$(LISTEN)
	cargo run --quiet -- demo --listen $(LISTEN) --data $(DATA) $(if $(PLATE_HOST),--host $(PLATE_HOST))

# Half of the time the tests wait for servers that start and pages that load; the linter works beside them.
test: deps ## everything that .ci/run checks; installs what is missing from Debian's packages
	cargo fmt --all --check
	@trap 'bash tests/stop-postgres.sh' EXIT; \
	if ! cargo nextest --version >/dev/null 2>&1; then $(MAKE) lint && cargo test; exit; fi; \
	notes=$$(mktemp -d); \
	cargo nextest list --list-type binaries-only --message-format json >"$$notes/binaries" \
		&& cargo metadata --format-version 1 >"$$notes/packages" || exit; \
	nice $(MAKE) lint >"$$notes/lint" 2>&1 & lint=$$!; \
	cargo nextest run --binaries-metadata "$$notes/binaries" --cargo-metadata "$$notes/packages" \
		--no-fail-fast --test-threads $$(($$(nproc) + 2)); tests=$$?; \
	wait $$lint; linted=$$?; cat "$$notes/lint"; rm -r "$$notes"; \
	exit $$((tests ? tests : linted))

deps: ## the Debian packages that the tests use
	@bash tests/install-packages.sh

lint: ## formatting, clippy, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --quiet --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check bans licenses sources; fi

fmt: ## rewrite the formatting
	cargo fmt --all

bench: ## the figures of the README, as ratios to the raw limit of this machine
	cargo bench --bench server
	cargo bench --bench import
	cargo bench --bench export
	cargo bench --bench plates
	cargo bench --bench spatial
	cargo bench --bench cases
	cargo bench --bench outbox
	cargo bench --bench gis

# `make test` lives a small one. `make year SEED=7` is another year.
SEED ?= 2026
year: ## a simulated year of a city at full size, checked every evening
	cargo bench --bench year -- --seed $(SEED)

schemathesis: ## let schemathesis (PyPI) attack a running demo by its openapi.yaml
	bash tests/schemathesis.sh

# Wants the nightly compiler and cargo-fuzz; what is found belongs into fuzz/seeds, where `make test` reads it.
FUZZ_SECONDS ?= 3600
fuzz: ## let the fuzzer at the reader READER (a target of fuzz/) for FUZZ_SECONDS
	mkdir -p fuzz/corpus/$(READER)
	cd fuzz && cargo +nightly fuzz run -O $(READER) corpus/$(READER) seeds/$(READER) -- \
		-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=65536

tour: ## take the screenshots of the README anew from the real program
	LIDMARK_TOUR=docs/tour cargo test --test it tour
