# The cluster that demo and tests run on. Included by the top-level Makefile; the settings are the person's to override.

export CLUSTER_NAME ?= tokenpace
# A second cluster keeps its own: `make cluster CLUSTER_NAME=other` writes .tools/kubeconfig-other.
export KUBECONFIG_FILE ?= $(CURDIR)/.tools/kubeconfig$(addprefix -,$(filter-out tokenpace,$(CLUSTER_NAME)))
# KIND_NODE_IMAGE, PYTHON_IMAGE: images to use as they are. SETUP=no: install and start nothing on this machine.
export KIND_NODE_IMAGE PYTHON_IMAGE SETUP TOKENPACE_CACHE

.PHONY: tools engine cluster cluster-down clean distclean

tools: ## kind, helm and kubectl at their pinned versions, in .tools/bin
	@hack/tools.sh

engine:
	@hack/engine.sh up

cluster: tools engine ## A kind cluster; kept if it is there already
	@hack/cluster.sh up

cluster-down: ## Delete the cluster; the engine goes on
	@hack/cluster.sh down

clean: ## Delete the cluster and stop the engine, if we started it
	@! timeout 10 docker version > /dev/null 2>&1 || hack/cluster.sh down
	@hack/engine.sh down
	@rm -rf .tools

distclean: clean ## Remove the cache as well: compiled programs, root file systems, the engine's images
	@rm -rf $(or $(TOKENPACE_CACHE),$(HOME)/.cache/tokenpace)
