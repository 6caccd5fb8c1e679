# The commands of the house. `make` lists them.

GO       ?= go
# The requirements of the linter and the generators are a module of their own: they are two hundred, and none is ours.
TOOL      = $(GO) tool -modfile=tools/mod/go.mod
FUZZTIME ?= 10s
SOAK     ?= 30
K6        = v1.8.1

.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

run: ## Serve the demo world on http://127.0.0.1:8080
	$(GO) run ./cmd/dibs demo

prepare: ## Install, as root on Debian, or name what the tests need
	@tools/prepare

test: prepare ## Run every test
	$(GO) test -timeout 20m ./...
	$(GO) -C deploy/check test ./...
	$(GO) -C tools/peers test ./...

race: prepare ## Run every test under the race detector, in random order
	$(GO) test -race -shuffle=on -timeout 20m ./...

fuzz: ## Run every fuzz test for FUZZTIME (10s) each
	@tools/fuzz $(FUZZTIME)

bench: prepare ## Measure one registration beside a no-op and a bare commit, the matcher beside its peers, write BENCHMARKS.md, then a million accounts, and run every benchmark
	$(GO) build -o bin/bench ./tools/bench && bin/bench
	$(GO) -C tools/peers build -o ../../bin/peers . && bin/peers -report BENCHMARKS.md
	$(GO) build -o bin/matchbench ./tools/matchbench && bin/matchbench -write scale
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-10m: prepare ## Measure the matcher beside pg_trgm with ten million names, and replicas with ten million accounts: some 20 GB of memory and an hour
	$(GO) -C tools/peers build -o ../../bin/peers . && bin/peers -names 10000000 -only pg5 -report BENCHMARKS.md -mark peers-10m
	$(GO) build -o bin/matchbench ./tools/matchbench && bin/matchbench -accounts 10000000 -only real -write scale-10m
	$(GO) build -o bin/bench ./tools/bench && bin/bench -only replicas -mark replicas-10m -accounts 10000000

soak: ## Break replicas, databases and caches for SOAK minutes (30) and look for a wrong answer; results add up in soak.jsonl
	$(GO) run ./tools/chaos soak -minutes $(SOAK) $(SOAKFLAGS)

loadtest: bin/k6 ## File registrations of which it is known what is right, at LOADFLAGS (-rate 200 …), and write loadtest.html
	$(GO) build -o bin/loadtest ./loadtest && bin/loadtest $(LOADFLAGS)

# A program beside ours, and no part of it: it is AGPL. Its sources come from the module proxy; building them takes minutes, once.
bin/k6:
	GOBIN=$(CURDIR)/bin $(GO) install -trimpath -ldflags '-s -w' go.k6.io/k6@$(K6)

mutants: ## Seed bugs in the service, one by one, and see that the harness catches each
	$(GO) run ./tools/chaos mutants

screenshots: prepare ## Write every page of the review desk at three widths, light and dark, into screenshots/
	$(GO) test ./internal/desk -count=1 -run TestScreenshots -screenshots $(CURDIR)/screenshots

lint: ## Check format and style; the first run builds the linter, which takes minutes
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	$(TOOL) golangci-lint run ./...

generate: ## Write the generated files anew
	$(GO) generate ./...

.PHONY: help run prepare test race fuzz bench bench-10m soak loadtest mutants screenshots lint generate
