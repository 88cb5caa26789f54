#!/usr/bin/env bash
# Gives the tag `test` to Prometheus' published image or, where no registry answers, to one of Debian's package.
# PROMETHEUS_IMAGE names another one, to be used as it is.
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/environment.sh"
wanted=${PROMETHEUS_IMAGE:-$PUBLISHED_PROMETHEUS_IMAGE}

if timeout 60 docker pull --quiet "$wanted" > /dev/null 2>&1 || docker image inspect "$wanted" > /dev/null 2>&1; then
  docker tag "$wanted" localhost/tokenpace/prometheus:test
elif [[ -n ${PROMETHEUS_IMAGE:-} ]]; then
  die "neither the engine nor a registry has PROMETHEUS_IMAGE=$wanted"
else
  "$root/e2e/build-image.sh" prometheus "$root/e2e/prometheus/Dockerfile" "$root/e2e/prometheus"
fi
