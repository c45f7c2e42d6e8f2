# Outflow. `make help` lists what can be made.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Logs to replay in `make demo`; empty: the books service is simulated.
LOGS ?=
DEMO := demo-out
OUTFLOW := target/release/outflow
FUZZ_SECONDS ?= 60
CHAIN_RUNS ?= 10
DENY_VERSION := 0.20.2

FUNCTIONS := outflow-ingest-logs outflow-ingest-trail outflow-evaluate outflow-notify

.PHONY: help demo build package check test e2e tools dynamodb deny quality soak bench bench-units fuzz clean

help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

build: ## The outflow command, in target/release
	@cargo build --release --locked --package outflow-cli

package: ## The functions as they are shipped, in target/lambda; fails where one is too large
	tests/tools/package.sh $(FUNCTIONS)

demo: build ## Simulate a small service, replay it, show the incident (LOGS=dir: your own logs)
	@mkdir -p $(DEMO)
	@rm -f "$(DEMO)/incidents.jsonl" "$(DEMO)/coverage.json"
	@if [ -z "$(LOGS)" ]; then \
		rm -rf "$(DEMO)/logs"; \
		echo "Simulating 21 days of a books service…"; \
		$(OUTFLOW) simulate books --out "$(DEMO)/logs"; \
		echo; \
	fi
	@code=0; $(OUTFLOW) replay "$(if $(LOGS),$(LOGS),$(DEMO)/logs)" --out "$(DEMO)" || code=$$?; \
	if [ $$code -gt 1 ]; then exit $$code; fi; \
	echo; \
	echo "Everything lies in $(DEMO)/: $(if $(LOGS),,logs/ what was simulated, )incidents.jsonl the incidents as OCSF, coverage.json what was read"

check: ## Format, lints, and the tests inside the crates; what runs whole stories or processes is in make test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --lib --bins

test: tools ## Everything that must hold; what CI runs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) --no-print-directory deny
	cargo test --workspace --locked

# Of the whole workspace, since that is what the tests have built already; one after the other, since some tell times.
e2e: tools ## The functions as processes on real parts, with CHAIN_RUNS disturbed runs; prints how long an alert takes
	OUTFLOW_CHAIN_RUNS=$(CHAIN_RUNS) cargo test --workspace --locked --test chain --test dynamo --test ingest --test notify \
		-- --nocapture --test-threads=1

tools: .tools/ocsf-2004.json .tools/bin/cargo-deny dynamodb ## What tests need, pinned, into .tools/

.tools/ocsf-2004.json: tests/requirements.txt tests/tools/ocsf_schema.py
	tests/tools/python.sh

# Skips itself where it is installed already, or where there is no Java.
dynamodb:
	tests/tools/dynamodb.sh

.tools/bin/cargo-deny:
	cargo install --locked cargo-deny --version $(DENY_VERSION) --root .tools

deny: .tools/bin/cargo-deny ## Licences, sources and doubled versions of dependencies
	cargo fetch --locked --quiet
	.tools/bin/cargo-deny --offline check bans licenses sources

quality: ## Detection quality: ten seeds of every story of the books service
	cargo test --locked --package outflow-tests --test books -- --ignored --nocapture

soak: ## 10,000 disturbed runs of an account in one process, compared with the undisturbed one
	OUTFLOW_SOAK_RUNS=10000 cargo test --release --locked --package outflow-tests --test account -- --nocapture nothing_on_the_way

bench: ## Speed and memory as ratios in one run
	cargo run --release --locked --package outflow-bench

bench-units: ## What a table bills for deliveries, an account, and the same traffic from more functions
	cargo run --release --locked --package outflow-bench -- units

fuzz: ## Every decoder, FUZZ_SECONDS each (needs a nightly toolchain)
	tests/fuzz/run.sh $(FUZZ_SECONDS)

clean: ## What was built and installed here
	rm -rf target $(DEMO) .tools tests/fuzz/target
