"""What a variant runs on, by the resource names of the device plugins that it asks for."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from tokenpace.api.variant import Quantity, Variant


class Hardware(StrEnum):
    """Makes of hardware that inference servers have images for."""

    CPU = "CPU"
    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel GPU"
    OTHER = "another accelerator"


_BY_DOMAIN: Final = {"nvidia.com": Hardware.NVIDIA, "amd.com": Hardware.AMD, "gpu.intel.com": Hardware.INTEL}

ASKED_BY: Final[Mapping[Hardware, str]] = MappingProxyType(
    {
        Hardware.CPU: "no device",
        **{make: f"`{domain}/…`" for domain, make in _BY_DOMAIN.items()},
        Hardware.OTHER: "any other device",
    }
)
"""What `resources.limits` ask for that means each of them, in Markdown."""


def hardware(variant: Variant) -> Hardware:
    """Return what the variant's limits ask for: devices have a domain (``nvidia.com/gpu``), ``cpu`` has none.

    ``nvidia.com/mig-1g.10gb`` is a device as well, and a network card (``rdma/ib``) beside a GPU says nothing.
    """
    known = {make for domain, make in _BY_DOMAIN.items() if _devices(variant, domain)}
    if known:
        return known.pop() if len(known) == 1 else Hardware.OTHER
    return Hardware.OTHER if any("/" in name for name in variant.resources.limits) else Hardware.CPU


def device_count(variant: Variant) -> int:
    """Return how many GPUs one replica gets; an amount that is not a plain number counts as none."""
    amounts = (str(amount) for domain in _BY_DOMAIN for amount in _devices(variant, domain))
    return sum(int(amount) for amount in amounts if amount.isdecimal())


def _devices(variant: Variant, domain: str) -> list[Quantity]:
    return [amount for name, amount in variant.resources.limits.items() if name.startswith(f"{domain}/")]
