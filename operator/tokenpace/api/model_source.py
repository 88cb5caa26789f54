"""Where the weights come from: `spec.model` and a variant's own `source`."""

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from tokenpace.api.fields import ApiModel, LongText, ShortText, rules


class SecretKeyRef(ApiModel):
    """A key of a Secret in the same namespace. The operator never reads it; the pod mounts it."""

    name: ShortText = Field(description="Name of the Secret.")
    key: ShortText = Field(description="Key within the Secret.")


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face hub."""

    repo: ShortText = Field(description="Repository, for example `meta-llama/Llama-3.1-8B-Instruct`.")
    revision: ShortText | None = Field(
        default=None, description="Commit, tag or branch. Pin a commit: a branch may change under a running fleet."
    )
    token_secret_key_ref: SecretKeyRef | None = Field(
        default=None, description="Key of a Secret that holds the hub's token, for gated repositories."
    )
    file: ShortText | None = Field(
        default=None, description="File within the repository, for engines that load one file (GGUF)."
    )


class VolumeSource(ApiModel):
    """Weights on a PersistentVolumeClaim."""

    claim_name: ShortText = Field(description="PersistentVolumeClaim in the same namespace, mounted read-only.")
    path: LongText = Field(description="Directory of the weights within the volume.")
    file: ShortText | None = Field(default=None, description="File within the directory, for engines that load one.")


class ImageSource(ApiModel):
    """Weights inside a container image: the engine's own image, or one mounted as a volume."""

    reference: LongText | None = Field(
        default=None,
        description="Image that holds the weights, mounted read-only. When absent, they are in the engine's image.",
    )
    path: LongText = Field(description="Directory of the weights within the image.")
    file: ShortText | None = Field(default=None, description="File within the directory, for engines that load one.")


class ModelSource(ApiModel):
    """Exactly one place to take weights from."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=rules(
            (
                "[has(self.huggingFace), has(self.volume), has(self.image)].filter(x, x).size() == 1",
                "must have exactly one of `huggingFace`, `volume` and `image`",
            )
        ),
    )

    hugging_face: HuggingFaceSource | None = Field(default=None, description="A repository of the Hugging Face hub.")
    volume: VolumeSource | None = Field(default=None, description="A PersistentVolumeClaim with the weights.")
    image: ImageSource | None = Field(default=None, description="A container image with the weights.")


class ModelCache(ApiModel):
    """Where downloaded weights are kept between pods."""

    persistent_volume_claim_name: ShortText = Field(
        description="PersistentVolumeClaim for downloads. With more than one node it must be ReadWriteMany."
    )


class Model(ApiModel):
    """The model, the same for every variant."""

    served_name: ShortText = Field(
        description="What clients put into `model`; the same for every variant, so that a switch is invisible to them."
    )
    context_tokens: int = Field(
        ge=128, le=10_000_000, description="Context length that every variant must serve, in tokens."
    )
    source: ModelSource | None = Field(
        default=None, description="Where the weights come from, unless a variant names a source of its own."
    )
    cache: ModelCache | None = Field(default=None, description="Where downloaded weights are kept between pods.")
