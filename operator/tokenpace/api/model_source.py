"""The model and where its weights come from: `spec.model`, and a variant's own `source`."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from tokenpace.api.fields import REFERENCE, ApiModel, Integer, LongText, Matches, ObjectName, Rule, ShortText, rules

HuggingFaceRepo = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[-._A-Za-z0-9]+(/[-._A-Za-z0-9]+)?",
        "must be a repository such as `meta-llama/Llama-3.1-8B-Instruct`, without the hub's address",
    ),
]
ServedName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(r"[^\s,]+", "must have no spaces and no commas, because clients send it as `model`"),
]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(r"[^\s/][^\s]*", "must be a path without spaces that does not begin with `/`: it lies within the source"),
]


class SecretKeyRef(ApiModel):
    """A key of a Secret in the same namespace. The operator never reads it; the pod gets it."""

    model_config = ConfigDict(json_schema_extra=REFERENCE)

    name: ObjectName = Field(description="Name of the Secret.")
    key: ShortText = Field(description="Key within the Secret.")


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face hub."""

    repo: HuggingFaceRepo = Field(description="Repository, for example `meta-llama/Llama-3.1-8B-Instruct`.")
    revision: ShortText | None = Field(
        default=None, description="Commit, tag or branch. Pin a commit: a branch may change under a running fleet."
    )
    token_secret_key_ref: SecretKeyRef | None = Field(
        default=None, description="Key of a Secret that holds the hub's token, for gated repositories."
    )
    file: FileName | None = Field(
        default=None, description="File within the repository, for engines that load one file (GGUF)."
    )


class VolumeSource(ApiModel):
    """Weights on a PersistentVolumeClaim."""

    claim_name: ObjectName = Field(description="PersistentVolumeClaim in the same namespace, mounted read-only.")
    path: LongText = Field(description="Directory of the weights within the volume.")
    file: FileName | None = Field(default=None, description="File within the directory, for engines that load one.")


class ImageSource(ApiModel):
    """Weights inside a container image: the engine's own, or another that they are copied from."""

    reference: LongText | None = Field(
        default=None,
        description="Image that holds the weights, and `cp`: each pod copies them when it starts. When absent, they "
        "are in the engine's image.",
    )
    path: LongText = Field(description="Directory of the weights within the image.")
    file: FileName | None = Field(default=None, description="File within the directory, for engines that load one.")


class ModelSource(ApiModel):
    """Where the weights come from: exactly one of a hub, a volume and an image."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.huggingFace), has(self.volume), has(self.image)].filter(given, given).size() == 1",
                "must have exactly one of `huggingFace`, `volume` and `image`",
            )
        )
    )

    hugging_face: HuggingFaceSource | None = Field(default=None, description="A repository of the Hugging Face hub.")
    volume: VolumeSource | None = Field(default=None, description="A PersistentVolumeClaim with the weights.")
    image: ImageSource | None = Field(default=None, description="A container image with the weights.")


class ModelCache(ApiModel):
    """Where downloaded weights are kept between pods."""

    persistent_volume_claim_name: ObjectName = Field(
        description="PersistentVolumeClaim for downloads. With more than one node it must be ReadWriteMany."
    )


class Model(ApiModel):
    """The model, the same for every variant."""

    served_name: ServedName = Field(
        description="What clients put into `model`; the same for every variant, so that a switch is invisible to them."
    )
    context_tokens: Integer = Field(
        ge=128, le=10_000_000, description="Context length that every variant must serve, in tokens."
    )
    source: ModelSource | None = Field(
        default=None, description="Where the weights come from, unless a variant names a source of its own."
    )
    cache: ModelCache | None = Field(
        default=None, description="Where downloaded weights are kept between pods. Default: each pod downloads them."
    )
