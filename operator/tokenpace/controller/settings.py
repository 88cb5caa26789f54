"""Everything about the operator that the person who installs it may set."""

from os import getpid
from socket import gethostname
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tokenpace.prometheus.settings import PrometheusSettings


class LeaseSettings(BaseModel):
    """Which Lease decides who may write. Its name and its timing are fixed: see `tokenpace.cluster.lease`."""

    model_config = ConfigDict(frozen=True)

    namespace: str = "kube-system"
    """Where the Lease of an operator of the whole cluster is: the same for every installation, or two would act. The
    Leases of an operator of some namespaces are there."""
    identity: str = Field(default_factory=lambda: f"{gethostname()}-{getpid()}")
    """The chart gives the pod's namespace and name: stable over container restarts, so that a restarted operator takes
    its own lease back. Elsewhere no two processes may share one."""


class Settings(BaseSettings):
    """The operator's settings, from environment variables `TOKENPACE_...`, nested ones with `__`."""

    model_config = SettingsConfigDict(env_prefix="TOKENPACE_", env_nested_delimiter="__", frozen=True)

    namespaces: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")], ...] = ()
    """Where LLMDeployments are served, as a JSON list; empty: everywhere. The others are another operator's affair."""
    tick_seconds: Annotated[float, Field(ge=0.5, le=300)] = 10.0
    """Interval of the loop."""
    liveness_ticks: Annotated[int, Field(ge=2, le=100)] = 6
    """Ticks that may be missed before the liveness probe fails."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    status_page_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where the status page is served; by default it is not."""
    status_page_host: str = "127.0.0.1"
    """Address that it listens on. By default nobody but `kubectl port-forward` reaches it."""
    number_write_interval_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Status writes that would change numbers alone wait this long; conditions and fleet are written at once."""
    status_writes_per_second: Annotated[float, Field(gt=0, le=1000)] = 20.0
    """Upper bound of status writes over all resources."""
    concurrent_resources: Annotated[int, Field(ge=1, le=256)] = 16
    """Resources acted on at the same time."""
    log_level: str = "INFO"
    prometheus: PrometheusSettings = PrometheusSettings()
    lease: LeaseSettings = LeaseSettings()

    @model_validator(mode="after")
    def _leases_are_not_that_of_the_cluster(self) -> Self:
        """Refuse to serve the namespace of the cluster's Lease: whoever takes it ends that operator's work."""
        if self.lease.namespace in self.namespaces:
            raise ValueError(
                f"namespaces contains {self.lease.namespace}, which is lease.namespace: the Lease there is that of the "
                "operator of the whole cluster. Leave it out, or say in lease.namespace where that Lease is."
            )
        return self
