#!/usr/bin/env bash
# Loads images of the engine into the cluster, those that it does not hold yet: load-image.sh IMAGE...
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# The kubelet's store lists an image under its name and under its id; it is the engine's image if both are one digest.
held=$(docker exec "$cluster-control-plane" ctr --namespace k8s.io images ls 2> /dev/null) ||
  die "cluster $cluster is not up: run make cluster"
digest() {
  awk -v name="$1" '$1 == name || $1 == "docker.io/" name || $1 == "docker.io/library/" name {print $3}' <<< "$held"
}

changed=()
for image in "$@"; do
  id=$(docker image inspect --format '{{.Id}}' "$image")
  [[ -n $(digest "$id") && $(digest "$id") == $(digest "$image") ]] || changed+=("$image")
done
((${#changed[@]})) || exit 0
say "loading ${changed[*]} into cluster $cluster (3 seconds for each 100 MB)"
kind load docker-image --name "$cluster" --quiet "${changed[@]}"
