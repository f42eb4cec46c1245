# Each target is one command; what it runs is in .ci/. Needs a POSIX shell, Go, git and make, nothing else.

.POSIX:

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

deps: ## install what the tests need and the machine lacks, saying what and why
	@.ci/deps

test: ## test every module under the race detector; installs nothing, and says what it left out
	@GOWORK="$$PWD/go.work" go run ./internal/check/testall

lint: ## gofmt, go vet, staticcheck, go mod tidy, and the repository's own rules
	@.ci/lint

check: ## all of the above with nothing left out: what CI runs
	@.ci/deps
	@CI=true $(MAKE) test
	@$(MAKE) lint

quickstart: ## run the five strategies on a real database, and check them
	@go run ./examples/quickstart

bench: ## run the benchmarks (BENCH=pattern COUNT=runs OLD=file to compare with)
	@.ci/bench

report: ## measure tarn beside other caches, and write bench/REPORT.md (TRACES=folder of traces)
	@.ci/report

fuzz: ## run every fuzz test, each for FUZZTIME (default 1m)
	@.ci/fuzz

soak: ## run the tests named TestSoak… for a long time each, SOAK (default 10m)
	@TARN_SOAK="$${SOAK:-10m}" GOWORK="$$PWD/go.work" \
		go run ./internal/check/testall -limit 6h -timeout 2h -run '^TestSoak'

.PHONY: help deps test lint check quickstart bench report fuzz soak
