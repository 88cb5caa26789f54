#!/usr/bin/env bash
# Puts kind, helm and kubectl at their pinned versions into .tools/bin: links to those on PATH where the version is
# right, else they are compiled from their Go modules and kept in the cache.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

bin=$root/.tools/bin
mkdir -p "$bin"

# on_path NAME VERSION [OPTION]: whether NAME is there, says that it is of this version, and is in .tools/bin now.
on_path() {
  local path
  path=$(command -v "$1") && "$path" version "${@:3}" 2> /dev/null | grep -F "$2" > /dev/null || return 1
  [[ $path == "$bin/$1" ]] || ln -sf "$path" "$bin/$1"
}

# compile NAME VERSION PACKAGE TIME [LDFLAGS]
compile() {
  local folder=$cache/$1-$2
  if [[ ! -x $folder/$1 ]]; then
    command -v go > /dev/null || die "$1 $2 is not on PATH, and neither is Go to compile it: install one of them"
    say "compiling $1 $2 (about $4 on two cores, less where Go has it cached)"
    GOBIN=$folder CGO_ENABLED=0 go install -trimpath -ldflags "-s -w ${5:-}" "$3@$2"
  fi
  ln -sf "$folder/$1" "$bin/$1"
}

on_path kind "$KIND_VERSION" ||
  compile kind "$KIND_VERSION" sigs.k8s.io/kind "10 seconds"
on_path helm "$HELM_VERSION" ||
  compile helm "$HELM_VERSION" helm.sh/helm/v4/cmd/helm "2 minutes" \
    "-X helm.sh/helm/v4/internal/version.version=$HELM_VERSION"
on_path kubectl "$KUBERNETES_VERSION" --client ||
  ln -sf "$(make --silent -C "$root/hack/kind-from-source" kubectl)" "$bin/kubectl"
