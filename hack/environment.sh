# shellcheck shell=bash disable=SC2034
# What every script here starts from: strict mode, the pinned versions, and where things are kept. Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=versions.env
source "$root/hack/versions.env"

cache=${TOKENPACE_CACHE:-$HOME/.cache/tokenpace} # shared by every clone of this user
cluster=${CLUSTER_NAME:-tokenpace}
export KUBECONFIG=${KUBECONFIG_FILE:-$root/.tools/kubeconfig}
export PATH=$root/.tools/bin:$PATH

say() { printf '%(%T)T  %s\n' -1 "$*" >&2; }

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Whether this machine may be set up. Never by sudo: a script that asks for a password surprises.
may_set_up() { [[ $EUID == 0 && ${SETUP:-yes} != no ]]; }
