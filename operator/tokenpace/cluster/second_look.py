"""A second look at what a change of sizes rests on, by the API server's own word: what the mirrors hold may be old.

A watch that stalls in silence is noticed after up to 70 s, while the others go on. Each size is compared with the one
that was observed when it is set. But it rests on more: on the sizes of the other variants, which leave it room, and on
pods of which one may be the last that serves once others are gone.
"""

from collections.abc import Iterable

from tokenpace.api.names import DEPLOYMENT_LABEL
from tokenpace.cluster.apply import Action, Outcome, Result, Scale, WritePermission, execute, result_of, shrinks
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, PODS, Kind, Object
from tokenpace.cluster.mirror import controller_uid
from tokenpace.cluster.observed import is_serving


async def execute_as_seen(
    actions: Iterable[Action],
    client: ApiClient,
    lease: WritePermission,
    resource: Object,
    deployments: Iterable[Object],
    *,
    pods: Iterable[Object],
) -> tuple[Outcome, ...]:
    """Carry out actions, but for those that rest on what is no longer so: the next tick decides them anew.

    Nothing is scaled where a size is not as it was observed, and nothing shrinks where a pod serves no more.

    Args:
        actions: what is to be done; without any scaling nothing is looked at again.
        client: whom to ask.
        lease: whether it may be done.
        resource: the LLMDeployment.
        deployments: its Deployments, as they were observed.
        pods: its pods, likewise, and perhaps others.
    """
    wanted = tuple(actions)
    scalings = [action for action in wanted if isinstance(action, Scale)]
    doubted = await _doubted(scalings, client, resource, deployments, pods) if scalings else ()
    withheld = [outcome.action for outcome in doubted]
    done = await execute((action for action in wanted if action not in withheld), client, lease)
    return (*done, *doubted)


async def _doubted(
    scalings: Iterable[Scale],
    client: ApiClient,
    resource: Object,
    deployments: Iterable[Object],
    pods: Iterable[Object],
) -> tuple[Outcome, ...]:
    """Return the scalings that may not be carried out, each with the reason."""
    metadata = resource["metadata"]
    try:
        sizes = _sizes(await _listed(client, DEPLOYMENTS, metadata), metadata["uid"])
        serving = _serving(await _listed(client, PODS, metadata), metadata["name"])
    except ApiError as error:
        return tuple(Outcome(action, result_of(error), error.message) for action in scalings)
    if sizes != _sizes(deployments, metadata["uid"]):
        return tuple(Outcome(action, Result.CONFLICT, "a size is not as it was observed") for action in scalings)
    if _serving(pods, metadata["name"]) <= serving:
        return ()
    why = "a pod that was observed to serve does so no more"
    return tuple(Outcome(action, Result.CONFLICT, why) for action in scalings if shrinks(action))


async def _listed(client: ApiClient, kind: Kind, metadata: Object) -> list[Object]:
    selector = f"{DEPLOYMENT_LABEL}={metadata['name']}"
    pages = client.list_pages(kind, namespace=metadata["namespace"], label_selector=selector)
    return [one async for page in pages for one in page["items"]]


def _sizes(deployments: Iterable[Object], owner_uid: str) -> dict[str, int]:
    return {
        one["metadata"]["name"]: one["spec"].get("replicas", 0)
        for one in deployments
        if controller_uid(one) == owner_uid
    }


def _serving(pods: Iterable[Object], label: str) -> set[str]:
    return {
        one["metadata"]["uid"]
        for one in pods
        if one["metadata"].get("labels", {}).get(DEPLOYMENT_LABEL) == label and is_serving(one)
    }
