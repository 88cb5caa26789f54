#!/usr/bin/env bash
# Prints the name of an image that the engine holds by then: image.sh node | python
#
# The one that KIND_NODE_IMAGE or PYTHON_IMAGE names; else the published one where a registry answers; else one built
# from source, which needs package mirrors alone.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

case ${1:-} in
  node) chosen=${KIND_NODE_IMAGE:-} published=$PUBLISHED_NODE_IMAGE ;;
  python) chosen=${PYTHON_IMAGE:-} published=$PUBLISHED_PYTHON_IMAGE ;;
  *) die "usage: image.sh node | python" ;;
esac

present() { docker image inspect "$1" > /dev/null 2>&1; }
pull() { timeout 10 docker manifest inspect "$1" > /dev/null 2>&1 && docker pull "$1" >&2; }

if [[ -n $chosen ]]; then
  echo "$chosen"
elif present "$published" || pull "$published"; then
  echo "$published"
else
  "$root/hack/install.sh" mmdebstrap
  make --silent -C "$root/hack/kind-from-source" "$1-image"
fi
