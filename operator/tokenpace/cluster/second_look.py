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

    Nothing is scaled where a size is not as it was observed; nor, if anything shrinks, where a pod serves no more. What
    grows meanwhile may be what takes the place of what goes.

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
    doubt = None
    try:
        if scalings and await _is_outgrown(deployments, client, resource):
            doubt = (Result.CONFLICT, "a size is not as it was observed")
        elif any(map(shrinks, scalings)) and await _is_outlived(pods, client, resource):
            doubt = (Result.CONFLICT, "a pod that was observed to serve does so no more")
    except ApiError as error:
        doubt = (result_of(error), error.message)
    if doubt is None:
        return await execute(wanted, client, lease)
    done = await execute((action for action in wanted if action not in scalings), client, lease)
    return (*done, *(Outcome(action, *doubt) for action in scalings))


async def _is_outgrown(observed: Iterable[Object], client: ApiClient, resource: Object) -> bool:
    uid = resource["metadata"]["uid"]
    return _sizes(observed, uid) != _sizes(await _listed(client, DEPLOYMENTS, resource["metadata"]), uid)


async def _is_outlived(observed: Iterable[Object], client: ApiClient, resource: Object) -> bool:
    name = resource["metadata"]["name"]
    return not _serving(observed, name) <= _serving(await _listed(client, PODS, resource["metadata"]), name)


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
