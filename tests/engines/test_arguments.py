import pytest

from tokenpace.api.spec import Variant
from tokenpace.engines.arguments import flag_values
from tokenpace.engines.hardware import Hardware, device_count, hardware


@pytest.mark.parametrize(
    ("args", "values"),
    [
        ([], []),
        (["--slots", "4"], ["4"]),
        (["--slots=4", "-s", "8"], ["4", "8"]),
        (["--slots"], [""]),
        (["--other", "--slots", "4"], ["4"]),
        (["--slotsize", "4"], []),
    ],
)
def test_a_flag_is_found_under_all_its_names_and_in_both_spellings(args: list[str], values: list[str]) -> None:
    assert flag_values(args, ("--slots", "-s")) == values


@pytest.mark.parametrize("args", [["--batch_size", "4"], ["--batch_size=4"]])
def test_a_long_flag_may_be_spelled_with_underscores_but_not_its_value(args: list[str]) -> None:
    """As vLLM and llama.cpp take it: `--served_model_name` would rename the model that clients ask for."""
    assert flag_values(args, ("--batch-size",)) == ["4"]
    assert flag_values(["--name", "a_b"], ("--name",)) == ["a_b"]


@pytest.mark.parametrize(
    ("limits", "make", "devices"),
    [
        ({}, Hardware.CPU, 0),
        ({"cpu": 2, "memory": "1Gi", "hugepages-2Mi": "1Gi"}, Hardware.CPU, 0),
        ({"nvidia.com/gpu": "8", "rdma/ib": 1}, Hardware.NVIDIA, 8),
        ({"nvidia.com/mig-3g.40gb": 1}, Hardware.NVIDIA, 1),
        ({"amd.com/gpu": 2}, Hardware.AMD, 2),
        ({"gpu.intel.com/xe": 1}, Hardware.INTEL, 1),
        ({"amd.com/gpu": 1, "nvidia.com/gpu": 1}, Hardware.OTHER, 2),
        ({"nvidia.com/gpu": "1k"}, Hardware.NVIDIA, 0),
    ],
)
def test_the_make_of_the_hardware_is_told_by_the_device_plugins_domain(
    limits: dict[str, str | int], make: Hardware, devices: int
) -> None:
    variant = Variant.model_validate({"name": "a", "engine": {"type": "TGI"}, "resources": {"limits": limits}})
    assert (hardware(variant), device_count(variant)) == (make, devices)
