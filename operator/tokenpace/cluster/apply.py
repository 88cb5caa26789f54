"""The difference between what should be and what is: actions as values first, carried out after.

Content is written by server-side apply, size by the scale subresource, so that the two never undo each other:

- An apply without replicas, of an object that is not there, means one replica: a pod, and a GPU, that nobody asked
  for. So what is applied says ``replicas: 0`` as long as that is what is there, and nothing once it is not; an applied
  object carries the UID of the one that was observed, without which an apply brings a deleted object back.
- Nothing is created by POST. Its field manager would own every field of the template besides the apply, and an
  environment variable or volume that the user removes would stay in the pods for ever.

Every write is refused where its decision no longer holds, so that of two operators only one succeeds: content carries
the resourceVersion that was observed; a size is set only if the size before it is the one that was observed. What was
measured, and against which server: docs/decisions/0041.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.comparison import covers
from tokenpace.cluster.kinds import Kind, Object, kind_of
from tokenpace.cluster.mirror import controller_of, controller_uid
from tokenpace.cluster.observed import variant_of


class Target(NamedTuple):
    """The object that an action is about."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


def target_of(body: Object) -> Target:
    """Return which object a body describes."""
    return Target(kind_of(body), body["metadata"]["namespace"], body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Create:
    """Bring an object into being, a workload with zero replicas."""

    body: Object

    @property
    def target(self) -> Target:
        """The object that comes into being."""
        return target_of(self.body)

    def __str__(self) -> str:
        return f"create {self.target}"


@dataclass(frozen=True, slots=True)
class Apply:
    """Put the content of an object right, if it still is as it was observed. Replicas stay."""

    body: Object
    observed: Object

    @property
    def target(self) -> Target:
        """The object that is changed."""
        return target_of(self.body)

    def __str__(self) -> str:
        return f"apply {self.target}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a workload its size, if it belongs to the owner and still has the size that was observed.

    Without ``owner_uid`` it is a workload that exists anyway (`tokenpace.cluster.scale_target`): whoever it belongs to,
    only its scale subresource is read and written.
    """

    target: Target
    owner_uid: str | None
    from_replicas: int
    to_replicas: int

    def __str__(self) -> str:
        return f"scale {self.target} from {self.from_replicas} to {self.to_replicas}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a workload that has no pods any more, if it still is as it was observed."""

    target: Target
    uid: str
    resource_version: str

    def __str__(self) -> str:
        return f"delete {self.target}"


Action = Create | Apply | Scale | Delete


class Result(StrEnum):
    """What became of an action."""

    DONE = "Done"
    CONFLICT = "Conflict"
    """The object is no longer as it was observed: the next tick decides anew."""
    NAME_CONFLICT = "NameConflict"
    """An object of that name belongs to somebody else: it is left alone."""
    FORBIDDEN = "Forbidden"
    """Access rules, a quota or a policy of the cluster say no."""
    INVALID = "Invalid"
    """The API server cannot accept the object as it is declared."""
    UNAVAILABLE = "Unavailable"
    """No answer, or a temporary refusal. It may have happened all the same: the next tick sees."""
    LEASE_NOT_HELD = "LeaseNotHeld"
    """Another operator may be writing."""
    HELD_BACK = "HeldBack"
    """A shrinking that waits for a growth that was to come first, and failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action, what became of it, and why in the API server's own words where there are any."""

    action: Action
    result: Result
    message: str = ""


class _NotDoneError(Exception):
    """An action that ends without a refusal by the API server."""

    def __init__(self, result: Result, message: str) -> None:
        super().__init__(message)
        self.result = result


_BY_STATUS: dict[int | None, Result] = {
    HTTPStatus.BAD_REQUEST: Result.INVALID,
    HTTPStatus.UNAUTHORIZED: Result.FORBIDDEN,
    HTTPStatus.FORBIDDEN: Result.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Result.CONFLICT,
    HTTPStatus.CONFLICT: Result.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY: Result.INVALID,
}

_NOT_OF_THE_TYPE = ("failed to create typed patch object", "failed to convert new object")
"""How a server-side apply refuses unknown fields and values of the wrong type: as an internal error, status 500."""


_SCALE_ATTEMPTS = 3


class WritePermission(Protocol):
    """What `tokenpace.cluster.lease.Lease` grants."""

    def may_write(self) -> bool:
        """Tell whether a write may be sent now."""


def difference(
    resource: Mapping[str, Any],
    desired: Iterable[Object],
    observed: Iterable[Object],
    fleet: Mapping[str, int],
    is_right: Callable[[Object, Object], bool] = covers,
) -> tuple[Action, ...]:
    """Return what must be done; nothing for an LLMDeployment that is being deleted.

    Args:
        resource: the LLMDeployment.
        desired: its objects as they should be.
        observed: objects as they are; those that the LLMDeployment does not control are passed over.
        fleet: replicas by variant. A variant that is not in it keeps its replicas. One that is in it with 0 and has
            no desired object any more is deleted once its pods are gone.
        is_right: tells whether a live object is what a desired one says.
    """
    metadata = resource["metadata"]
    if "deletionTimestamp" in metadata:
        return ()
    ours = {target_of(one): one for one in observed if controller_uid(one) == metadata["uid"]}
    actions: list[Action] = []
    for body in desired:
        actions += _bring_about(body, ours.pop(target_of(body), None), fleet, is_right)
    for leftover in sorted(ours.values(), key=lambda one: str(one["metadata"]["name"])):
        actions += _retire(leftover, fleet)
    return tuple(actions)


def _bring_about(
    body: Object, live: Object | None, fleet: Mapping[str, int], is_right: Callable[[Object, Object], bool]
) -> Iterator[Action]:
    if live is None:
        yield Create(body)
        yield from _resize(body, 0, fleet)
    elif "deletionTimestamp" not in live["metadata"]:
        if not is_right(live, body):
            yield Apply(body, live)
        yield from _resize(body, live["spec"].get("replicas", 0), fleet)


def _retire(live: Object, fleet: Mapping[str, int]) -> Iterator[Action]:
    """Empty and then remove what is no longer declared, as far as the plan has come with that."""
    metadata = live["metadata"]
    if "deletionTimestamp" in metadata:
        return
    replicas = live["spec"].get("replicas", 0)
    yield from _resize(live, replicas, fleet)
    empty = replicas == 0 and not live.get("status", {}).get("replicas")
    if empty and fleet.get(variant_of(live)) == 0:
        yield Delete(target_of(live), metadata["uid"], metadata["resourceVersion"])


def _resize(body: Object, replicas: int, fleet: Mapping[str, int]) -> Iterator[Action]:
    wanted = fleet.get(variant_of(body), replicas)  # no fleet names the empty one, which Services and budgets are of
    owner_uid = controller_uid(body)
    if wanted != replicas and owner_uid is not None:
        yield Scale(target_of(body), owner_uid, replicas, wanted)


async def execute(actions: Iterable[Action], client: ApiClient, lease: WritePermission) -> tuple[Outcome, ...]:
    """Carry out actions one after another and return what became of each. Never raises but when cancelled.

    Workloads grow before others shrink, and nothing shrinks where one could not grow: pods go because others come.
    """
    outcomes: list[Outcome] = []
    stuck: Action | None = None
    for action in sorted(actions, key=shrinks):
        if stuck is not None and shrinks(action):
            outcomes.append(Outcome(action, Result.HELD_BACK, f"waits until it was possible to {stuck}"))
            continue
        outcomes.append(await _attempt(action, client, lease))
        if outcomes[-1].result is not Result.DONE and isinstance(action, Scale) and not shrinks(action):
            stuck = action
    return tuple(outcomes)


def shrinks(action: Action) -> bool:
    """Tell whether an action takes replicas away."""
    return isinstance(action, Scale) and action.to_replicas < action.from_replicas


async def _attempt(action: Action, client: ApiClient, lease: WritePermission) -> Outcome:
    try:
        await _perform(action, client, lease)
    except _NotDoneError as end:
        return Outcome(action, end.result, str(end))
    except ApiError as error:
        return Outcome(action, result_of(error), error.message)
    return Outcome(action, Result.DONE)


def result_of(error: ApiError) -> Result:
    """Return what a refusal of the API server means for an action."""
    if error.message.startswith(_NOT_OF_THE_TYPE):
        return Result.INVALID
    return _BY_STATUS.get(error.status, Result.UNAVAILABLE)


async def _perform(action: Action, client: ApiClient, lease: WritePermission) -> None:
    match action:
        case Create(body):
            await _create(body, client, lease)
        case Apply(body, observed):
            _ask(lease)
            await client.apply(_addressed(body, observed))
        case Scale():
            await _scale(action, client, lease)
        case Delete(target, uid, version):
            _ask(lease)
            await client.delete(*target, uid=uid, resource_version=version)


def _ask(lease: WritePermission) -> None:
    """Ask before every single write: what was read before it may have taken longer than the lease lasts."""
    if not lease.may_write():
        raise _NotDoneError(Result.LEASE_NOT_HELD, "the lease is not held, so another operator may be writing")


async def _create(body: Object, client: ApiClient, lease: WritePermission) -> None:
    """Create an object, or put one right that is ours and merely lost the labels that the mirror selects by.

    Raises:
        _NotDoneError: the name belongs to somebody else, or still to a deleted LLMDeployment of the same name.
    """
    target = target_of(body)
    live = _NOTHING
    try:
        live = await client.get(*target)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    else:
        ours, theirs = controller_of(body), controller_of(live)
        if theirs.get("uid") != ours["uid"]:
            raise _name_is_taken(target, ours, theirs)
    _ask(lease)
    await client.apply(_addressed(body, live))


def _name_is_taken(target: Target, ours: Object, theirs: Object) -> _NotDoneError:
    """Return the error for an object with another controller.

    That may be a deleted LLMDeployment of the same name: its objects go when the garbage collector comes to them.
    """
    if (theirs.get("kind"), theirs.get("name")) == (ours["kind"], ours["name"]):
        return _NotDoneError(Result.CONFLICT, f"{target} goes with a deleted {ours['kind']} of the same name")
    message = f"{target} exists and does not belong to this LLMDeployment; rename one of the two"
    return _NotDoneError(Result.NAME_CONFLICT, message)


async def _scale(action: Scale, client: ApiClient, lease: WritePermission) -> None:
    """Set the size on what is there now.

    The observed resourceVersion would not do: Kubernetes' own controller writes a Deployment's status soon after every
    change, and whether scaling right after creating or applying conflicts would be a matter of milliseconds.

    Raises:
        _NotDoneError: the decision no longer holds.
    """
    for _ in range(_SCALE_ATTEMPTS):
        live = await client.get(*action.target, subresource="" if action.owner_uid else "scale")
        replicas = live["spec"].get("replicas", 0)  # a Scale of none says nothing
        if replicas != action.from_replicas or (action.owner_uid and controller_uid(live) != action.owner_uid):
            break
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "spec": {"replicas": action.to_replicas}}
        _ask(lease)
        try:
            await client.patch(*action.target, patch, subresource="scale")
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        else:
            return
    raise _NotDoneError(Result.CONFLICT, f"{action.target} is not as it was observed")


_NOTHING: Object = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 0}}
"""What an object is before it is there. No object ever has version 1, so an apply that carries it creates or fails."""


def _addressed(body: Object, live: Object) -> Object:
    """Return the body so that it can change this object, as it is now, and no other."""
    address = {key: live["metadata"][key] for key in ("uid", "resourceVersion") if key in live["metadata"]}
    addressed = {**body, "metadata": {**body["metadata"], **address}}
    if "template" in body["spec"] and live["spec"]["replicas"] == 0:
        addressed["spec"] = {**body["spec"], "replicas": 0}
    return addressed
