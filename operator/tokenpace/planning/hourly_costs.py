"""What a replica is taken to cost: what is known, and for what nobody knows the dearest that is known."""

from collections.abc import Mapping

from tokenpace.api.spec import LLMDeploymentSpec


def hourly_costs(spec: LLMDeploymentSpec) -> Mapping[str, float]:
    """Return the cost of a replica for an hour, by variant; 0 for all where no cost is known.

    Unknown is not free: a deleted speed card would make its variant the cheapest, and let it grow past
    `maxHourlyCost`.
    """
    known = {one.name: float(one.hourly_cost) for one in spec.variants if one.hourly_cost is not None}
    dearest = max(known.values(), default=0.0)
    return {one.name: known.get(one.name, dearest) for one in spec.variants}


def unknown_costs(spec: LLMDeploymentSpec) -> str | None:
    """Return of which variants a speed card was to tell the cost and does not, and what follows; None of none.

    Where nobody asks for costs, and nobody knows any, nothing follows.
    """
    names = " and ".join(
        one.name for one in spec.variants if one.hourly_cost is None and one.speed_card_ref is not None
    )
    known = [one.hourly_cost for one in spec.variants if one.hourly_cost is not None]
    if names and known:
        return (
            f"The cost of {names} is unknown and taken to be {max(known)} an hour, the dearest: declare `hourlyCost`."
        )
    if names and spec.scaling.max_hourly_cost is not None:
        return f"The cost of {names} is unknown, and `scaling.maxHourlyCost` bounds nothing: declare `hourlyCost`."
    return None
