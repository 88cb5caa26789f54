"""The whole resource as the operator reads it."""

from pydantic import ConfigDict, Field

from tokenpace.api.fields import ApiModel, Rule, rules
from tokenpace.api.names import NAME_MAX_LENGTH
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import LLMDeploymentStatus


class LLMDeployment(ApiModel):
    """A large language model that is kept at a declared speed in tokens per second.

    The operator runs it as one of its variants, measures demand and speed in Prometheus, and keeps as many replicas
    as the speed needs.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"self.metadata.name.matches(r'^[a-z]([-a-z0-9]{{0,{NAME_MAX_LENGTH - 2}}}[a-z0-9])?$')",
                f"`metadata.name` must be at most {NAME_MAX_LENGTH} lower-case letters, digits and `-`, must begin "
                "with a letter and end with a letter or digit: a Service and every Deployment are called after it",
                ".metadata.name",
            )
        )
    )

    spec: LLMDeploymentSpec
    status: LLMDeploymentStatus = Field(default_factory=LLMDeploymentStatus)
