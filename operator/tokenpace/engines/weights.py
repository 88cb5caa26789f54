"""Where the weights come from and how they get into the engine's container; the same for every engine."""

from dataclasses import dataclass
from typing import Any

from tokenpace.api.model_source import HuggingFaceSource, ImageSource, ModelSource, VolumeSource
from tokenpace.engines.engine import Launch

MODELS_DIRECTORY = "/models"
"""Where the weights are mounted, whatever they come from."""

MODELS_VOLUME = "models"

_COPY_DIRECTORY = "/copied-weights"
"""Where an init container sees the volume: a mount at `MODELS_DIRECTORY` would hide weights that an image has there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a pod needs so that the weights are in `directory`.

    With a repository of the Hugging Face hub the directory is the engine's download cache: empty at first, or shared
    between pods and writable.
    """

    directory: str
    file: str | None
    """The file meant, for engines that load one."""
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    init_containers: tuple[dict[str, Any], ...] = ()
    env: tuple[dict[str, Any], ...] = ()


def named_place(source: ModelSource) -> tuple[str, HuggingFaceSource | VolumeSource | ImageSource] | None:
    """Return the one place that a source names, with its field; None if it names none, or more than one."""
    places = {"huggingFace": source.hugging_face, "volume": source.volume, "image": source.image}
    named = [(field, place) for field, place in places.items() if place is not None]
    return named[0] if len(named) == 1 else None


def mounted_weights(launch: Launch) -> Weights:
    """Return volumes, mounts and environment for the launch's source, which must name exactly one place."""
    source = launch.source
    if source.image is not None:
        return _from_image(source.image)
    if source.volume is not None:
        claim = {"claimName": source.volume.claim_name, "readOnly": True}
        return Weights(
            directory=f"{MODELS_DIRECTORY}/{source.volume.path.strip('/')}".rstrip("/"),
            file=source.volume.file,
            volumes=({"name": MODELS_VOLUME, "persistentVolumeClaim": claim},),
            mounts=({"name": MODELS_VOLUME, "mountPath": MODELS_DIRECTORY, "readOnly": True},),
        )
    return Weights(
        directory=MODELS_DIRECTORY,
        file=source.hugging_face.file if source.hugging_face else None,
        volumes=(_download_volume(launch),),
        mounts=({"name": MODELS_VOLUME, "mountPath": MODELS_DIRECTORY},),
        env=_hub_token(source),
    )


def _from_image(image: ImageSource) -> Weights:
    """Weights in the engine's own image are there; those in another image are copied by an init container.

    A Kubernetes image volume would save the copy, but it is off by default before Kubernetes 1.35
    (docs/decisions/0032).
    """
    if image.reference is None:
        return Weights(directory=image.path.rstrip("/"), file=image.file)
    copy = {
        "name": "copy-weights",
        "image": image.reference,
        "command": ["cp", "-RL", f"{image.path.rstrip('/')}/.", _COPY_DIRECTORY],
        "volumeMounts": [{"name": MODELS_VOLUME, "mountPath": _COPY_DIRECTORY}],
    }
    return Weights(
        directory=MODELS_DIRECTORY,
        file=image.file,
        volumes=({"name": MODELS_VOLUME, "emptyDir": {}},),
        mounts=({"name": MODELS_VOLUME, "mountPath": MODELS_DIRECTORY, "readOnly": True},),
        init_containers=(copy,),
    )


def _download_volume(launch: Launch) -> dict[str, Any]:
    cache = launch.spec.model.cache
    if cache is None:
        return {"name": MODELS_VOLUME, "emptyDir": {}}
    return {"name": MODELS_VOLUME, "persistentVolumeClaim": {"claimName": cache.persistent_volume_claim_name}}


def _hub_token(source: ModelSource) -> tuple[dict[str, Any], ...]:
    reference = source.hugging_face.token_secret_key_ref if source.hugging_face else None
    if reference is None:
        return ()
    return ({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}},)
