#!/usr/bin/env bash
# Builds one of the project's images and notes its name: build-image.sh NAME DOCKERFILE CONTEXT [OPTION...]
#
# Its tag is the image's own id, so that a pod template which names it changes with the image; the name is written to
# .tools/images/NAME, where make finds it. A second tag, `test`, is for manifests that stand in the repository.
source "$(dirname "${BASH_SOURCE[0]}")/../hack/environment.sh"
name=$1 dockerfile=$2 context=$3
shift 3

say "building the image $name"
base=$("$root/hack/image.sh" python)
# One builder everywhere: where only an engine is installed there is no buildx.
log=$(mktemp)
id=$(DOCKER_BUILDKIT=0 docker build --quiet --build-arg "PYTHON_IMAGE=$base" --file "$dockerfile" "$@" "$context" 2> "$log") ||
  die "$(< "$log")"
rm "$log"
image=localhost/tokenpace/$name:${id:7:12}
docker tag "$id" "$image"
docker tag "$id" "${image%:*}:test"
mkdir -p "$root/.tools/images"
echo "$image" > "$root/.tools/images/$name"
