"""Where the weights come from and how they get into the engine's container; the same for every engine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tokenpace.api.model_source import HuggingFaceSource, ImageSource, ModelSource, VolumeSource
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.engines.engine import FieldProblem, Launch

Place = HuggingFaceSource | VolumeSource | ImageSource
"""Where weights may be."""

GGUF: Final = ".gguf"
"""What files of llama.cpp's format are called, in every engine that is built on it."""

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


def declared_place(spec: LLMDeploymentSpec, variant: Variant) -> tuple[str, Place | None]:
    """Return the one place of a variant's weights and its field; None if the source names none, or more than one."""
    source = variant.source or spec.model.source or ModelSource()
    field = f"spec.variants[{variant.name}].source" if variant.source else "spec.model.source"
    places = {"huggingFace": source.hugging_face, "volume": source.volume, "image": source.image}
    named = [(f"{field}.{name}", place) for name, place in places.items() if place is not None]
    return named[0] if len(named) == 1 else (field, None)


def directory_problems(spec: LLMDeploymentSpec, variant: Variant, engine: str) -> Iterator[FieldProblem]:
    """Yield what an engine cannot load that wants a repository or a directory of safetensors."""
    field, place = declared_place(spec, variant)
    if place is None:
        yield FieldProblem(field, "must name one place with the weights: `huggingFace`, `volume` or `image`")
    elif place.file is not None:
        yield FieldProblem(f"{field}.file", f"has no meaning to {engine}, which loads all of the place: leave it out")


def revision_problems(spec: LLMDeploymentSpec, variant: Variant, because: str) -> Iterator[FieldProblem]:
    """Yield that a revision of a repository cannot be asked for, in an engine that has no flag for it."""
    field, place = declared_place(spec, variant)
    if isinstance(place, HuggingFaceSource) and place.revision is not None:
        yield FieldProblem(f"{field}.revision", f"cannot be asked for, leave it out: {because}")


def model_location(launch: Launch, weights: Weights) -> tuple[str, str | None]:
    """Return the repository, for the engine to download, and its revision; else the directory with the weights."""
    hub = launch.source.hugging_face
    return (hub.repo, hub.revision) if hub else (weights.directory or "/", None)


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
        env=hub_token_variable(source),
    )


def hub_cache_variable(launch: Launch, weights: Weights) -> list[dict[str, Any]]:
    """Return where Hugging Face's libraries keep what they download; nothing where they download nothing."""
    return [{"name": "HF_HUB_CACHE", "value": weights.directory}] if launch.source.hugging_face else []


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


def hub_token_variable(source: ModelSource) -> tuple[dict[str, Any], ...]:
    """Return the variable with the hub's token, which the operator never sees; nothing for a public repository."""
    reference = source.hugging_face.token_secret_key_ref if source.hugging_face else None
    if reference is None:
        return ()
    return ({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}},)
