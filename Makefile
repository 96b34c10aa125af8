# The test command is `make test`; everything it needs beyond Rust and a C compiler it brings itself.
CARGO ?= cargo

.PHONY: test lint bench

test: lint
	$(CARGO) test --workspace --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Measured on this machine, side by side with peers, reported as ratios.
bench:
	$(CARGO) bench -p flashsale
