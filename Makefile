# sudo make demo | test | bench; make build | lint need no root once everything is installed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MODULES := node_modules/.package-lock.json
.PHONY: help setup build lint test demo bench dist tutorial policy-tutorial demo-legacy-swarm cluster-destroy vagrant-clean clean

BPF_SOURCES := $(wildcard packages/datapath/bpf/*.c packages/datapath/bpf/*.h packages/lab/bpf/*.c)
BPF_OBJECT := $(if $(BPF_SOURCES),build/contiv.bpf.o)

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: ## install what is missing (sudo)
	@scripts/setup.sh

build: $(MODULES) $(BPF_OBJECT) ## compile and bundle the programs into bin/
	@node_modules/.bin/tsc -b
	@node scripts/bundle.mjs
	@if [ "$$(id -u)" = 0 ]; then chown -R --reference=. build bin packages; fi

# npm writes it last.
$(MODULES):
	@printf '%s\n' 'node_modules is missing; install what the build needs: sudo make setup' >&2; exit 1

build/contiv.bpf.o: $(BPF_SOURCES) scripts/build-bpf.sh
	@scripts/build-bpf.sh

lint: $(MODULES) ## format, lint and import checks
	@npm run --silent lint

test: ## install, build, lint and run every test (sudo, under 30 minutes)
	@scripts/test.sh

demo: ## two hosts, two tenants with the same addresses, pings that cross (sudo)
	@scripts/setup.sh
	@printf 'building\n'
	@$(MAKE) --no-print-directory build
	@bin/lab demo

# As in the tutorial: a cluster begins by removing the last one.
ENGINE ?= system
LAB_OPTIONS := --store etcd --engine $(ENGINE) $(if $(filter modern,$(ENGINE)),--swarm-mode)
demo-legacy-swarm: ## the cluster of the container-101 tutorial (sudo; ENGINE=modern for Docker 28)
	@scripts/setup.sh $(if $(filter modern,$(ENGINE)),--modern)
	@$(MAKE) --no-print-directory build
	@bin/lab down --quiet
	@bin/lab up $(LAB_OPTIONS)
	@scripts/installed.sh

cluster-destroy vagrant-clean: ## remove that cluster (sudo)
	@bin/lab down

tutorial: ## type the container-101 tutorial and compare what it shows; writes docs/tutorial.md (sudo; ENGINE=modern)
	@scripts/setup.sh $(if $(filter modern,$(ENGINE)),--modern)
	@$(MAKE) --no-print-directory build
	@bin/tutorial --engine $(ENGINE) --write docs/tutorial.md

policy-tutorial: ## the same for the tutorial on policies; writes docs/policy-tutorial.md (sudo; ENGINE=modern)
	@scripts/setup.sh $(if $(filter modern,$(ENGINE)),--modern)
	@$(MAKE) --no-print-directory build
	@bin/tutorial contiv-policy --engine $(ENGINE) --write docs/policy-tutorial.md

bench: ## measure beside Docker's own networks (sudo)
	@scripts/bench.sh

dist: build ## pack the programs for other hosts into build/contiv-VERSION-ARCH.tar.gz
	@node scripts/dist.mjs

clean: ## take the lab down and remove what was built; the modern engine and the images stay
	@if [ -x bin/lab ] && [ "$$(id -u)" = 0 ]; then bin/lab down; fi
	@rm -rf build bin packages/*/dist packages/*/*.tsbuildinfo
