#!/usr/bin/env bash
# Gives a name to Prometheus' published image, or to one of Debian's package where no registry answers: image.sh NAME
# PROMETHEUS_IMAGE names another one, to be used as it is.
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/environment.sh"
name=$1
published=${PROMETHEUS_IMAGE:-$PUBLISHED_PROMETHEUS_IMAGE}

if ! timeout 60 docker pull --quiet "$published" > /dev/null 2>&1 && ! docker image inspect "$published" > /dev/null 2>&1; then
  [[ -z ${PROMETHEUS_IMAGE:-} ]] || die "neither the engine nor a registry has PROMETHEUS_IMAGE=$published"
  "$root/e2e/build-image.sh" prometheus "$root/e2e/prometheus/Dockerfile" "$root/e2e/prometheus"
  published=$(< "$root/.tools/images/prometheus")
fi
docker tag "$published" "$name"
