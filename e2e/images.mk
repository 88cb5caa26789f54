# The images that demo and tests run: each built when what goes into it changed, all loaded into the cluster.
# Included by the top-level Makefile, which sets UV.

built := .tools/images
model_kinds := f16 q8_0 q4_k_m q4_0 q2_k

# A file under .tools/images names the image that was built last. Those that a manifest in the repository names go by the
# tag `test`.
operator_image = $(file < $(built)/operator)
load_image = $(file < $(built)/load)

.PHONY: images wheels image sbom

images: cluster $(built)/operator $(built)/llama-cpp-smollm2 $(built)/tgi-over-llama-cpp $(built)/load $(built)/prometheus ## Images of the operator, a model under two servers, its load and Prometheus, in the cluster
	docker tag "$$(hack/image.sh python)" localhost/tokenpace/python:test
	hack/load-image.sh $(operator_image) $(load_image) \
	  $(foreach name,llama-cpp-smollm2 tgi-over-llama-cpp prometheus python,localhost/tokenpace/$(name):test)

image: engine $(built)/operator ## The operator's image alone
	@echo $(operator_image)

sbom: dist/wheels/sbom.cdx.json ## What the operator's image holds of Python, as CycloneDX; the image holds it too
	@echo $<

wheels: dist/wheels/.locked ## The locked dependencies of the operator's image, and pip, in dist/wheels

# For the Python of the images, whichever runs here; only wheels, so that no compiler is needed in an image.
dist/wheels/.locked: uv.lock hack/versions.env | .venv/.synced
	rm -rf $(@D) && mkdir -p $(@D)
	$(UV) export --quiet --frozen --no-dev --no-emit-project --output-file $(@D)/requirements.txt
	$(UV) tool run --quiet pip==$(PIP_VERSION) download --quiet --dest $(@D) --only-binary :all: \
	  --python-version $(PYTHON_VERSION) $(foreach abi,2_28 2_17,--platform manylinux_$(abi)_$(machine)) \
	  --platform manylinux2014_$(machine) --requirement $(@D)/requirements.txt
	$(UV) tool run --quiet pip==$(PIP_VERSION) download --quiet --dest $(@D) pip==$(PIP_VERSION)
	touch $@

dist/wheels/sbom.cdx.json: dist/wheels/.locked
	$(UV) export --quiet --frozen --no-dev --format cyclonedx1.5 --preview-features sbom-export --output-file $@ > /dev/null

machine = $(shell uname -m | sed s/arm64/aarch64/)

$(built)/operator: Dockerfile .dockerignore dist/wheels/sbom.cdx.json pyproject.toml $(shell find operator -name '*.py')
	rm -f dist/tokenpace-*
	$(UV) build --quiet --wheel --out-dir dist
	e2e/build-image.sh operator Dockerfile . --build-arg VERSION="$$($(UV) version --frozen --short)"

$(built)/load: e2e/load/Dockerfile .dockerignore dist/wheels/.locked $(wildcard e2e/load/loadgen/*.py operator/tokenpace/bench/*.py)
	e2e/build-image.sh load $< .

$(built)/llama-cpp-smollm2: e2e/model/Dockerfile $(wildcard e2e/model/*.py e2e/model/*.sh) hack/versions.env | .venv/.synced
	UV=$(UV) e2e/model/gather.sh $(built)/model $(model_kinds)
	e2e/build-image.sh llama-cpp-smollm2 $< $(built)/model

$(built)/tgi-over-llama-cpp: e2e/tgi/Dockerfile .dockerignore dist/wheels/.locked $(built)/llama-cpp-smollm2 $(wildcard e2e/tgi/*.py)
	e2e/build-image.sh tgi-over-llama-cpp $< .

$(built)/prometheus: e2e/prometheus/Dockerfile hack/versions.env
	e2e/prometheus/image.sh
	touch $@
