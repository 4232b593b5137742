# make run, make test: nothing is needed before them but Go (and npm for the page).
PROGRAMS := $(notdir $(wildcard cmd/*-*) $(wildcard cmd/collector))
VERSION  ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)
STAMP    := github.com/prometheus/common/version
LDFLAGS  := -s -w -X $(STAMP).Version=$(VERSION) -X $(STAMP).Revision=$(shell git rev-parse --short HEAD 2>/dev/null) -X $(STAMP).Branch=$(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
TOOL     := go tool -modfile=tools/go.mod
WEB      := internal/webui/dist/index.html
DATA     ?= data
# Names that the drop-in promise fixes and promtool's style rules do not like: docs/compat.md.
FIXED    := ^(\# (HELP|TYPE) )?(node_(memory|netstat|entropy|wifi_station_(receive|transmit)_bits)_|cadvisor_version_info|container_cpu_load)

.DEFAULT_GOAL := all
.PHONY: all build run test control-plane cluster manifests check bench bench-peers bench-proxy bench-containers bench-state bench-collector bench-discovery bench-suite golden e2e prometheus thanos image web clean

all: check test

build: $(WEB) ## every program into bin/, static, version stamped
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS:%=./cmd/%)

run: build ## one process that reads this host, keeps the samples and shows the page
	./bin/collector --standalone --storage.tsdb.path=$(DATA)

web: $(WEB)
$(WEB): $(shell find web -name node_modules -prune -o -name .test -prune -o -type f -print)
	@if command -v npm >/dev/null; then cd web && npm ci --no-audit --no-fund && npm run build; \
	else echo "npm is not installed: the collector will run without its page"; fi

test: control-plane ## every unit test; no root, no cluster but the one it starts
	go test -race ./...
	cd deploy/image && go test -race .
	cd deploy/test && go test ./...

manifests: ## deploy/watchpost.yaml: what kustomize makes of deploy/
	cd deploy/test && go test -count 1 -run TestRendered -update .

control-plane: ## the API server of the tests: minutes the first time, then kept in test/kubernetes/bin
	CGO_ENABLED=0 go run -trimpath ./internal/testkube/build

cluster: ## that, and kubelet, scheduler, controllers, kube-proxy of make e2e, in test/kubernetes/bin: minutes the first time
	CGO_ENABLED=0 go run -trimpath ./internal/testkube/build cluster
	cd test/kubernetes && CGO_ENABLED=0 go vet -trimpath ./node

check: ## format, vet, lint, layout, names in code and documents, promtool on golden files and rules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go vet -tags e2e ./test/e2e
	@# With the flags of the build, whose compiled packages vet reads: no second cold build.
	cd test/kubernetes && CGO_ENABLED=0 go vet -trimpath . ./pause
	$(TOOL) staticcheck ./...
	for m in deploy/image deploy/test; do (cd $$m && go vet . && go tool -modfile=../../tools/go.mod staticcheck .) || exit 1; done
	go test ./internal/layout ./collectors ./kube -run 'Layout|Docs'
	@if command -v npm >/dev/null; then cd web && npm ci --no-audit --no-fund && npm run check && npm test; fi
	grep -hEv '$(FIXED)' cmd/*/testdata/metrics.txt kube/testdata/expected.txt | $(TOOL) promtool check metrics
	$(TOOL) promtool check rules --lint=all --lint-fatal deploy/monitoring/rules/*.yml >/dev/null
	$(TOOL) promtool test rules deploy/monitoring/tests/*.yml >/dev/null

bench: ## speed of the parts, compared with the last run
	@mkdir -p bin && mv -f bin/bench.txt bin/bench.old 2>/dev/null || true
	go test -run '^$$' -bench . -benchmem -count 3 ./internal/expo ./internal/hostfs ./internal/cadvisor ./internal/containers ./collectors | tee bin/bench.txt
	@if [ -s bin/bench.old ]; then $(TOOL) benchstat bin/bench.old bin/bench.txt; fi

bench-peers: build ## ours beside node_exporter on this host
	cd bench/peers && go build -o ../../bin/node_exporter github.com/prometheus/node_exporter
	go run ./bench/scrape --collectors default --max-cpu-ratio 0.15 --max-rss 12
	go run ./bench/compare
	go run ./bench/load

bench-proxy: build ## what cadvisor-proxy adds to a scrape of a kubelet of 110 pods
	go run ./bench/proxy --max-added-latency 5ms --max-rss 25

bench-containers: build ## cadvisor-proxy --cadvisor beside cAdvisor's library on this host, then with 330 cgroups more (root)
	cd bench/peers/cadvisor && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../bin/cadvisor-library .
	go run ./bench/containers
	go run ./bench/containers --cgroups 330

bench-state: build control-plane ## state-agent beside kube-state-metrics on a large cluster's objects: half an hour
	cd bench/peers/kube-state-metrics && go build -o ../../../bin/kube-state-metrics k8s.io/kube-state-metrics/v2
	go run ./bench/state --limits --managed-fields=false

bench-collector: build prometheus ## collector beside Prometheus on 400 targets: a quarter of an hour
	go run ./bench/collector --limits

bench-discovery: build control-plane prometheus ## what it costs collector and Prometheus to know 5,000 nodes and 50,000 pods: half an hour
	go run ./bench/discovery --limits

bench-suite: build cluster prometheus ## all programs beside all they take the place of, on a real kubelet: a quarter of an hour (root)
	cd bench/peers && go build -o ../../bin/node_exporter github.com/prometheus/node_exporter
	cd bench/peers/kube-state-metrics && go build -o ../../../bin/kube-state-metrics k8s.io/kube-state-metrics/v2
	go run ./bench/suite --limits --cluster=40

golden: ## refresh every expected output, then read the diff
	go test ./cmd/node-agent ./cmd/cadvisor-proxy ./collectors ./kube -run 'Golden|Docs' -update
	cd deploy/monitoring && go run .

# The collector beside Prometheus: WATCHPOST_PROMETHEUS=$PWD/bin/prometheus after `make prometheus`; killed more often: WATCHPOST_KILLS=20;
# with a real Alertmanager where one is installed (Debian: prometheus-alertmanager), or WATCHPOST_ALERTMANAGER=binary.
# Longer, for state-agent and cadvisor-proxy: WATCHPOST_CHURN=10m, for cadvisor-proxy WATCHPOST_PROMTOOL=110; for state-agent WATCHPOST_CUT=1m WATCHPOST_UPDATES=1000000, and WATCHPOST_KSM=kube-state-metrics to compare with.
# Forwarding to real receivers: Debian's victoria-metrics where it is installed (or WATCHPOST_VICTORIAMETRICS=binary), and WATCHPOST_THANOS=$PWD/bin/thanos after
# `make thanos`; with the receiver down for longer than a second: WATCHPOST_OUTAGE=3m.
# WATCHPOST_SCRAPE=1m: how long 200 scrapers ask node-agent at once (5s). WATCHPOST_BLACKBOX=blackbox_exporter, WATCHPOST_PUSHGATEWAY=pushgateway: the programs (0.28, 1.11) that probes and pushes are compared with.
# Larger, for the page: WATCHPOST_FLEET=1 (500 nodes, 20,000 pods, some minutes); E2E_SCREENSHOTS=DIR keeps what the browser saw.
# On a real Kubernetes of one node: WATCHPOST_CLUSTER=long for longer outages and for what is lost without each grant (docs/privileges.md: some minutes),
# WATCHPOST_PRIVILEGE=REGEXP for those of which "PROGRAM COMPONENT: GRANT" matches; WATCHPOST_CLUSTER=stay leaves the cluster running for a while after the tests;
# WATCHPOST_CLUSTER=fleet for 500 nodes and 20,000 pods more, that only seem to run, against the same control plane (six minutes of two quiet processors;
# WATCHPOST_NODES, WATCHPOST_PODS for fewer).
# What is compiled for the tests is compiled as for the programs, so that most of it is there already; make check vets them.
e2e: build cluster ## the real programs, started and asked; the suite on a real Kubernetes: four to five minutes
	CGO_ENABLED=0 GOFLAGS=-trimpath go test -vet off -tags e2e -count 1 -timeout 30m $(TESTFLAGS) ./test/e2e

prometheus: ## Prometheus and promtool into bin/, for the tests that compare with them
	@mkdir -p bin
	cd bench/peers/prometheus && go build -o ../../../bin/ github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool

thanos: ## Thanos into bin/, which the tests forward to: a quarter of an hour the first time
	@mkdir -p bin
	cd bench/peers/thanos && CGO_ENABLED=0 go build -trimpath -tags slicelabels -ldflags '-s -w' -o ../../../bin/ github.com/thanos-io/thanos/cmd/thanos

image: $(WEB) ## images of all programs for amd64 and arm64 into bin/images, without docker: docs/container-images.md
	go run -C deploy/image . --version='$(VERSION)' $(IMAGE)

clean:
	rm -rf bin web/node_modules internal/webui/dist/*
