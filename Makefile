# One command for every job; CI uses the same ones (.ci/run).

SHELL := bash
.DEFAULT_GOAL := help

# What is built for release: no path of this machine inside, no debug tables. Without the commit's stamp a binary stays the
# same between commits, so that nothing is linked anew.
RELEASE := -trimpath -buildvcs=false -ldflags '-s -w'

# devstack holds the Temporal server, minutes of compiling: these flags let its tests and checks use what `make build` compiled.
DEVSTACK := GOFLAGS='-trimpath -buildvcs=false'

# The race detector needs a C compiler, which `make test` may install first: asked for in the recipe.
race = race=; [ "$$(go env CGO_ENABLED)" = 1 ] && race=-race

# Length of one fuzz run: make fuzz FUZZTIME=5m
FUZZTIME ?= 20s

# Tools, built from source once into a file that bears the version; change the version here and the next run builds it.
# govulncheck stays one version behind: 1.9.0 names a dependency that the module proxy doesn't have.
GOFUMPT       := bin/tools/gofumpt-v0.12.0
GOLANGCI      := bin/tools/golangci-lint-v2.15.0
WORKFLOWCHECK := bin/tools/workflowcheck-v0.6.0
GOVULNCHECK   := bin/tools/govulncheck-v1.8.0

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

##### Building and running

.PHONY: build
build: ## Build worker, api, edge, evercert (the CLI) and devstack into bin/
	@[ -e bin/devstack ] || { go list -C devstack -deps . >/dev/null 2>&1 & } # fetches the sources of the second build while the first one runs
	@echo 'Building worker, api, edge and evercert: about a minute the first time on 2 cores, then seconds'
	@CGO_ENABLED=0 go build $(RELEASE) -o bin/ ./worker ./api ./edge
	@CGO_ENABLED=0 go build $(RELEASE) -o bin/evercert ./starter
	@echo 'Building devstack, which holds the Temporal server: 5 to 8 minutes the first time on 2 cores, then seconds'
	@go build -C devstack $(RELEASE) -o ../bin/devstack .

.PHONY: dev
dev: build ## Run everything on this machine, with a sample domain, until Ctrl-C
	@bin/devstack up --sample shop.ready.test

.PHONY: demo
demo: build ## Show a domain from connected to HTTPS, then stop
	@bin/devstack up --demo --sample shop.ready.test

.PHONY: clean
clean: ## Remove bin/ and .dev/, the database of make dev included
	@if [ -e .dev/stack.json ]; then echo 'make dev is running on .dev/: stop it first' >&2; exit 1; fi
	rm -rf bin .dev

##### Tests

# stream runs `go test` and prints for testsummary how it ended.
stream = stream() { "$$@" && echo 'exit 0' || echo "exit $$?"; }

# What the tests need beside Go: root on Debian gets it, others get a line that says what to install.
.PHONY: packages
packages:
	@.ci/install

.PHONY: test
test: packages build ## Run all tests of both modules and count them; as root on Debian, install what they need first
	@go build -o bin/testsummary ./e2e/testsummary
	@{ $(stream); $(race); \
	echo "Unit, replay and integration tests$$([ -n "$$race" ] || echo ' (no C compiler here: without the race detector)')"; \
	stream go test -json -count=1 $$race ./e2e/stack ./e2e/testsummary $$(go list ./... | grep -vE '/e2e(/|$$)'); \
	echo 'A thousand random walks through the lives of domains, and twenty thousand random requests to the API, without the race detector'; \
	stream go test -json -count=1 -run 'Random(Walks|Requests)' ./workflows ./api; \
	echo 'Tests of devstack'; \
	$(DEVSTACK) stream go test -C devstack -json -count=1 ./...; \
	echo 'End-to-end tests: the real parts as processes, some minutes'; \
	stream go test -json -count=1 -p 1 -timeout 30m $$(go list ./e2e/... | grep -vE '/e2e/(stack|testsummary)$$'); \
	} | bin/testsummary

# As make test has them, but with ten years for one, faults of half a minute, outages of ten, and SOAKS rounds: each begins anew, and meets the steps in
# another order.
SOAKS ?= 3

.PHONY: soak
soak: build ## Live ten years on a real server, send the API a million random requests, then meet longer faults, SOAKS rounds of about half an hour
	@EVERCERT_SOAK=1 go test -count=1 -timeout 1h -v ./e2e/walks
	@EVERCERT_SOAK=1 go test -count=1 -run RandomRequests -timeout 1h -v ./api
	@EVERCERT_SOAK=1 go test -count=$(SOAKS) -timeout 6h -v ./e2e/faults

# A target that fails without a failing input has found nothing: Go before 1.27 loses a race when the time is over (go.dev/issue/75804).
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each; what fails is kept in testdata/fuzz
	@set -o pipefail; status=0; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	while IFS=: read -r file target; do \
		target=$${target#func }; package=$$(dirname "$$file"); \
		echo "$$package $$target, $(FUZZTIME)"; \
		go test -C "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) . </dev/null 2>&1 | tee "$$log" && continue; \
		if grep -q '^ *context deadline exceeded$$' "$$log" && ! grep -q 'Failing input written' "$$log"; then \
			echo "$$target found nothing: that was the race at the end of the time, go.dev/issue/75804"; \
		else \
			status=1; \
		fi; \
	done < <(grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sort); exit $$status

.PHONY: bench
bench: build ## Measure issuance beside the CA client alone, diagnoses beside dead zones, an edge beside plain Go
	@go run ./bench

.PHONY: mutate
mutate: ## Break the workflows, one rule at a time, and see that a test notices each: about 10 minutes
	@go run ./e2e/mutate

.PHONY: replay-record
replay-record: build ## Record workflow histories for the replay tests; do it from a released commit
	@go run ./e2e/replayrecord

##### Checks

.PHONY: check
check: check-format check-words check-vet check-modules check-lint check-workflows ## Everything that reads the code: format, words, vet, modules, lint, determinism

.PHONY: check-format
check-format: $(GOFUMPT)
	@echo 'gofumpt'
	@differing=$$($(GOFUMPT) -l .) && if [ -n "$$differing" ]; then printf 'not formatted (make fix does it):\n%s\n' "$$differing"; exit 1; fi

# Words for which there is a plainer one (CONTRIBUTING.md, Style).
.PHONY: check-words
check-words:
	@echo 'words'
	@! grep -rnwiE '(tells?|told|untold|mend|mends|mended)' --include='*.go' .

.PHONY: check-vet
check-vet:
	@echo 'go vet'
	@go vet ./...
	@$(DEVSTACK) go vet -C devstack ./...

.PHONY: check-modules
check-modules:
	@echo 'go mod tidy, go mod verify'
	@go mod tidy -diff && go mod verify
	@go mod tidy -C devstack -diff && go mod verify -C devstack

.PHONY: check-lint
check-lint: $(GOLANGCI)
	@echo 'golangci-lint, both modules'
	@status=0; $(GOLANGCI) run ./... || status=1; \
	cd devstack && $(DEVSTACK) ../$(GOLANGCI) run --config ../.golangci.yml ./... || status=1; exit $$status

.PHONY: check-workflows
check-workflows: $(WORKFLOWCHECK)
	@echo 'workflowcheck'
	@$(WORKFLOWCHECK) -config .workflowcheck.yaml ./workflows/...

.PHONY: fix
fix: $(GOFUMPT) $(GOLANGCI) ## Format the code and fix what the linters can fix
	@$(GOFUMPT) -w .
	@$(GOLANGCI) run --fix ./...

.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look for known vulnerabilities; asks vuln.go.dev, so it is not part of check
	@$(GOVULNCHECK) ./...
	@cd devstack && $(DEVSTACK) ../$(GOVULNCHECK) ./...

##### Tools

# install builds package $(1) at the version that the target's name ends with.
version = $(lastword $(subst -, ,$(notdir $@)))
install = @echo 'Building $(notdir $@)$(2)'; \
	GOBIN='$(CURDIR)/bin/tools' GOFLAGS=-trimpath go install $(1)@$(version) && mv bin/tools/$(notdir $(1)) $@

$(GOFUMPT):
	$(call install,mvdan.cc/gofumpt)

$(GOLANGCI):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,: about 4 minutes on 2 cores$(comma) once)

$(WORKFLOWCHECK):
	$(call install,go.temporal.io/sdk/contrib/tools/workflowcheck)

$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck)

comma := ,
