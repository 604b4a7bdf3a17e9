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

deny = if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check bans licenses sources; fi

.PHONY: help demo test deps lint fmt bench year schemathesis fuzz tour

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: ## a city from real open data, served on http://$(LISTEN)
	cargo run --quiet -- demo --listen $(LISTEN) --data $(DATA) $(if $(PLATE_HOST),--host $(PLATE_HOST))

# Clippy's compiler writes programs too: the tests run what it has looked at, so that nothing is compiled a second time to be linted.
# The arguments are written as `cargo clippy` hands them on.
test: export RUSTC_WORKSPACE_WRAPPER = clippy-driver
test: export CLIPPY_ARGS = -D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
test: deps ## everything that .ci/run checks; installs what is missing from Debian's packages
	cargo fmt --all --check
	@$(deny)
	cargo build --quiet --all-targets
	@trap 'bash tests/stop-postgres.sh' EXIT; \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --no-fail-fast --test-threads $$(($$(nproc) + 2)); \
	else cargo test --no-fail-fast; fi

deps: ## the Debian packages that the tests use
	@bash tests/install-packages.sh

lint: ## formatting, clippy, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --quiet --all-targets -- -D warnings
	@$(deny)

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
