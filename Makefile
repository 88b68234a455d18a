# What a person needs: make, make demo, make test. All that these need beyond Go is built here,
# at pinned versions, into .bin.

GO ?= go
BIN := $(CURDIR)/.bin
SERVER := $(BIN)/versitygw
LINT := $(BIN)/staticcheck
FUZZTIME ?= 10s
TORTURE ?= -for 30m

.PHONY: all build demo test vet lint unit race platforms fuzz tools memory scale torture bench peers clean

all: build

build: ## the program, as .bin/merkur
	$(GO) build -o $(BIN)/merkur ./cmd/merkur

demo: build tools ## mirror a real tree to a real S3 server, and show what each run costs
	$(GO) run ./benchmarks/demo -merkur $(BIN)/merkur -server $(SERVER)

test: tools vet lint platforms unit ## all that must pass

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null))" || { echo 'gofmt would change:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) ./...

platforms: ## it builds and vets elsewhere too
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

# Tests that run the program, or whole syncs, many hundred times do so without the race detector, which makes
# them slow; some of each direction, and of each way to end, have it. "make race" has it everywhere.
# Benchmarks run once, so that they do not rot, and so do the tests of what other systems have in the place
# of system calls of Linux.
PROGRAMS := /cmd/merkur$$|/benchmarks/|/transfer$$
RACED := NothingGoesOn|Story|Together|Relay|RandomRuns
unit: $(SERVER)
	$(GO) test -race $$($(GO) list ./... | grep -vE '$(PROGRAMS)')
	$(GO) test -short -run '^$$' -bench . -benchtime 1x $$($(GO) list ./... | grep -vE '/cmd/merkur$$|/benchmarks/')
	$(GO) test -tags portable ./hashing ./transfer/local
	$(GO) test -race -short -run '$(RACED)' ./transfer
	$(GO) test $$($(GO) list ./... | grep -E '$(PROGRAMS)')

race: $(SERVER) ## all tests with the race detector (takes long)
	$(GO) test -race -timeout 1h ./...

fuzz: ## each fuzz target for FUZZTIME
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; \
	done

memory: build tools ## peak memory of all kinds of runs over trees of a million and two million files (takes long)
	$(GO) run ./benchmarks/memory -merkur $(BIN)/merkur -server $(SERVER)

scale: ## what the manifest of up to 100 million files costs, by simulation (takes some 20 minutes, and 20 GB of TMPDIR)
	$(GO) run ./benchmarks/scale -files 1e4,1e6,1e8

torture: build tools ## faults, kills and damaged caches, and an auditor after each (TORTURE='-for 8h -seed 1')
	$(GO) run ./benchmarks/torture -merkur $(BIN)/merkur -server $(SERVER) $(TORTURE)

bench: build tools peers ## merkur beside s5cmd, rclone, aws, git, find and b3sum (takes hours; BENCH='-only noop -rounds 3' and -scale 0.1 less)
	$(GO) build -o $(BIN)/compare ./benchmarks/compare
	$(BIN)/compare $(BENCH)

peers: $(BIN)/s5cmd $(BIN)/rclone

$(BIN)/s5cmd: benchmarks/peers/s5cmd/go.mod benchmarks/peers/s5cmd/go.sum
	$(GO) -C benchmarks/peers/s5cmd build -o $@ github.com/peak/s5cmd/v2

$(BIN)/rclone: benchmarks/peers/rclone/go.mod benchmarks/peers/rclone/go.sum
	$(GO) -C benchmarks/peers/rclone build -o $@ github.com/rclone/rclone

tools: $(SERVER) $(LINT)

$(SERVER): tools/go.mod tools/go.sum
	$(GO) -C tools build -o $@ github.com/versity/versitygw/cmd/versitygw

$(LINT): tools/lint/go.mod tools/lint/go.sum
	$(GO) -C tools/lint build -o $@ honnef.co/go/tools/cmd/staticcheck

clean:
	rm -rf $(BIN)
