# The test command is `make test`; everything it needs beyond Rust and a C compiler it brings itself.
CARGO ?= cargo

.PHONY: test lint simulate bench

test: lint
	$(CARGO) test --workspace --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Ten thousand seeded worlds of crashes, forks, lost tails and lost replies; SEEDS=a..b for others.
SEEDS ?= 0..10000
simulate:
	$(CARGO) run --release -p flashsale-engine --bin simulate -- --seeds $(SEEDS)

# Measured on this machine, side by side with peers, reported as ratios.
bench:
	$(CARGO) bench -p flashsale-core
	$(CARGO) bench -p flashsale
