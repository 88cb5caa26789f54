# The commands of this project; `make help` lists them.
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

include hack/versions.env
include hack/cluster.mk
include e2e/images.mk

# uv from PATH if it is there, else one of our own under .tools.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
RUN := $(UV) run --frozen
LEVELS := not prometheus and not browser and not apiserver and not e2e

.PHONY: help check test e2e demo soak replay lint audit unit coverage integration benchmark crd engines

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.tools/uv/bin/uv:
	python3 -m venv .tools/uv
	.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(filter .tools/%,$(UV))
	$(UV) sync --frozen --quiet
	@touch $@

check: lint unit ## Static checks, unit and property tests; no cluster, under two minutes

lint: .venv/.synced
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

audit: | $(filter .tools/%,$(UV)) ## Known weaknesses of the locked dependencies, where their database can be reached
	@UV=$(UV) hack/audit.sh

unit: .venv/.synced
	$(RUN) pytest -n 2 -m "$(LEVELS)"

coverage: .venv/.synced ## The same tests with their branch coverage, which takes three times as long
	$(RUN) pytest -n 2 -m "$(LEVELS)" --cov --cov-report=term:skip-covered

test: check integration e2e ## Everything: check, then real Prometheus, real Chromium, real API server, and end to end on kind

integration: .venv/.synced tools cluster
	@hack/install.sh prometheus chromium
	@# An operator left by the demo would write into the resources that these tests write into.
	@.tools/bin/helm uninstall tokenpace --namespace tokenpace-system --kubeconfig $(KUBECONFIG_FILE) --ignore-not-found
	KUBECONFIG=$(KUBECONFIG_FILE) $(RUN) pytest -m "prometheus or browser or apiserver"

e2e: .venv/.synced tools cluster images ## End to end on kind: the chart, a real Prometheus, a real model, real load
	@# Prometheus anew: what the operators of an earlier run called is not judged.
	@.tools/bin/kubectl --kubeconfig $(KUBECONFIG_FILE) --namespace monitoring delete pods --all
	@# Stories side by side, each with its own resource; those that stop what all share come when the others have ended.
	$(RUN) pytest e2e -m "e2e and not disruptive and not alone" -n 3 --dist loadscope --no-loadscope-reorder
	$(RUN) pytest e2e -m alone
	$(RUN) pytest e2e -m "e2e and disruptive" -n 2 --dist loadscope --no-loadscope-reorder

demo: .venv/.synced tools cluster images ## One model on a kind cluster; watch replicas follow demand, then precision
	$(RUN) python -m e2e.demo

# Speed cards that are measured, and then planned from.
CARDS := .tools/e2e/cards

soak: .venv/.synced tools cluster images ## Long runs: new examples, predicted beside measured, many switches, a simulated day
	HYPOTHESIS_PROFILE=explore $(RUN) pytest -n 2 -m "$(LEVELS)"
	$(RUN) pytest e2e/test_demand.py --serving tgi
	for variant in q8 q4; do for serving in llama-cpp tgi; do \
		$(RUN) python -m e2e.capacity $$variant --serving $$serving; done; done
	$(RUN) python -m e2e.simulated
	$(RUN) python -u -m e2e.bench --out $(CARDS)
	$(RUN) python -m e2e.wrong_card $(CARDS)/q8_0.yaml
	$(RUN) python -m e2e.upheaval --serving tgi
	$(RUN) python -m e2e.upheaval --serving llama-cpp
	$(RUN) python -m benchmarks.soak

# Recorded requests: https://github.com/Azure/AzurePublicDataset, data/AzureLLMInferenceTrace_conv.csv
TRACE ?= ../shared/traces/azure-llm-2023-conv.csv

replay: .venv/.synced ## The planner beside the other autoscalers and an oracle, as a page under .tools/replay
	$(RUN) tokenpace replay $(if $(wildcard $(TRACE)),--trace $(TRACE)) --processes 2 --out .tools/replay

benchmark: .venv/.synced ## Figures for docs/benchmarks.md; TRACE is a recording for the replay's
	@missed=; for part in mirror planning 'replay $(TRACE)' scale; do \
	  $(RUN) python -m benchmarks.$$part || missed="$$missed $${part%% *}"; \
	done; if [ -n "$$missed" ]; then echo "these missed their limits:$$missed"; exit 1; fi

crd: .venv/.synced ## Write the CRDs from the models, for crds/ and the chart, and the reference of its fields
	for plural in llmdeployments llmspeedcards; do $(RUN) tokenpace crd $$plural > crds/tokenpace.dev_$$plural.yaml; done
	cp crds/*.yaml charts/tokenpace/files/
	$(RUN) tokenpace crd --reference > docs/reference.md

engines: .venv/.synced ## Write docs/engines.md from the adapters
	$(RUN) python -m tokenpace.engines.page > docs/engines.md
