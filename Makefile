# The two commands of this project are `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup demo test test-fast test-servers test-cost bench lint docs

# Root may do all that the tests ask for: run programs as another user, write below /var/www.
ifeq ($(shell id -u),0)
export CI = 1
endif
export CHECK PORT

help:
	@echo "make demo          an axum app behind a real Apache on http://127.0.0.1:8080/ (PORT=... for another port)"
	@echo "make demo CHECK=1  the same, asked once and compared"
	@echo "make test          everything: format, lints, all tests, real web servers, documentation"
	@echo "make test-fast     the tests that need nothing but cargo"
	@echo "make test-servers  only the tests with real web servers"
	@echo "make test-cost     only the guard of the instructions per request (LODGER_WRITE=1 writes the figures down)"
	@echo "make bench         speed and size beside others, written to docs/benchmarks.md (FAMILIES='socket ...' measures only these and writes nothing)"
	@echo "make setup         installs what the others need (they do so themselves)"

setup:
	@scripts/setup

demo:
	@scripts/setup demo
	@scripts/demo

# Ratios of the same run are what counts; a machine that does other work blurs them all the same.
bench:
	@scripts/setup bench
	cargo build --release --package lodger-bench --bin lodger-bench --bin hello --bin axum_loop
	target/release/lodger-bench $(or $(FAMILIES),--write)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

test: setup lint
	cargo build --workspace --all-targets
	cargo test --workspace --lib --bins -- --include-ignored
	cargo test --workspace --test it --test smoke -- --include-ignored
	cargo test --doc
	@$(MAKE) docs
	@echo "make test: all checks passed"

test-fast:
	cargo test
	@echo "make test-fast: passed; the real web servers were not asked (make test-servers)"

test-servers: setup
	cargo build --examples
	cargo test --test it -- --ignored servers::
	@echo "make test-servers: passed"

test-cost: setup
	cargo test --package lodger-bench --bin lodger-bench -- --ignored instructions::
	@echo "make test-cost: passed"
