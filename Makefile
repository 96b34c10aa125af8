# The test command is `make test`; everything it needs beyond Rust and a C compiler it brings itself.
CARGO ?= cargo

.PHONY: test lint servers simulate bench

test: lint servers
	$(CARGO) test --workspace --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# PostgreSQL, Redis, Java and Kafka: what is missing is installed by the system's package manager and by Maven. Where that
# cannot be done, tests on real servers say that they are skipped; with CI set it is an error.
servers:
	$(CARGO) run --quiet -- doctor --servers --fix --yes || test -z "$$CI"

# Small sales in which everything goes wrong that can; SEEDS=a..b for others.
SEEDS ?= 0..10000
simulate:
	$(CARGO) run --release -p flashsale-engine --bin simulate -- --seeds $(SEEDS)

# Measured on this machine, side by side with peers, reported as ratios. Each benchmark keeps its rows; the last shows all.
bench:
	$(CARGO) bench -p flashsale-core --bench apply
	$(CARGO) bench -p flashsale --bench availability
	$(CARGO) bench -p flashsale --bench reserve
	$(CARGO) bench -p flashsale --bench ledger
	$(CARGO) bench -p flashsale --bench table
