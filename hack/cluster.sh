#!/usr/bin/env bash
# The kind cluster: cluster.sh up | down
#
# A cluster that answers on the wanted node image is kept. Anything else under its name (its engine died, the machine
# was switched off, the image is another one now) is thrown away and made anew, which takes half a minute.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

exists() { [[ -n $(docker container ls --all --quiet --filter "label=io.x-k8s.kind.cluster=$cluster") ]]; }

# healthy IMAGE
healthy() {
  local node
  node=$(docker container inspect --format '{{.State.Status}} on {{.Config.Image}}' "$cluster-control-plane" 2>&1) &&
    [[ $node == "running on $1" ]] &&
    kind export kubeconfig --name "$cluster" --quiet &&
    kubectl get --raw /readyz --request-timeout=10s > /dev/null 2>&1
}

up() {
  local image log=$root/.tools/kind-$cluster.log
  image=$("$root/hack/image.sh" node)
  if healthy "$image"; then
    say "cluster $cluster is up already"
    return
  fi
  down
  say "creating cluster $cluster on $image (half a minute)"
  kind create cluster --name "$cluster" --image "$image" --config "$root/e2e/cluster/kind.yaml" --wait 2m \
    > "$log" 2>&1 ||
    die "$(tail -n 30 "$log")" "cluster $cluster did not come up; the whole log: $log"
  # Without them there is no Service and no name: tests would start in a cluster that is not one yet.
  kubectl --namespace kube-system rollout status --timeout 2m daemonset/kube-proxy deployment/coredns > /dev/null
  say "cluster $cluster is up: export KUBECONFIG=$KUBECONFIG"
}

down() {
  ! exists || kind delete cluster --name "$cluster" --quiet
}

case ${1:-} in
  up | down) "$1" ;;
  *) die "usage: cluster.sh up | down" ;;
esac
