from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.registry import adapter_of, problems
from tokenpace.prometheus.declared import names_by_role

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]

NAMES: Final = {"generatedTokens": "acme_tokens_total", "runningStreams": "acme_streams"}
SERVER: Final[dict[str, Any]] = {
    "engine": {"type": "Custom", "image": "acme/server:1.2.3", "args": ["serve", "--lanes", "8"]},
    "custom": {
        "port": 9000,
        "healthPath": "/up",
        "metricsPath": "/stats",
        "completionsPath": "/openai/v1/completions",
        "batchFlag": "--lanes",
        "metrics": NAMES,
    },
}
HISTOGRAMS: Final = ("timeToFirstToken", "timePerOutputToken", "generatedTokensPerRequest")


def test_a_pod_is_what_is_declared(start: Start) -> None:
    launch = start(**SERVER)
    template = adapter_of(launch.variant).pod_template(launch)
    (engine,) = template["spec"]["containers"]
    assert (engine["image"], engine["args"]) == ("acme/server:1.2.3", ["serve", "--lanes", "8"])
    assert engine["ports"][0]["containerPort"] == 9000
    assert engine["readinessProbe"]["httpGet"]["path"] == "/up"
    assert template["metadata"]["annotations"] == {"prometheus.io/path": "/stats"}


def test_canaries_ask_where_its_api_is_declared_to_be(start: Start) -> None:
    adapter = adapter_of(start(**SERVER).variant)
    assert (adapter.port, adapter.completions_path) == (9000, "/openai/v1/completions")


def test_the_batch_limit_is_read_from_the_flag_that_is_declared_to_be_it(start: Start) -> None:
    launch = start(**SERVER)
    adapter = adapter_of(launch.variant)
    assert adapter.batch_limit(adapter.pod_template(launch)) == 8


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"engine": {"type": "Custom"}}, "engine.image", "is missing"),
        ({"source": {}}, "source", "name one place"),
        ({"custom": None}, "custom", "is missing"),
        ({"engine": {**SERVER["engine"], "args": ["--lanes", "all"]}}, "engine.args", "needs a number"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**{**SERVER, **variant})
    (problem,) = problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message


@given(st.text().filter(lambda text: not text.isidentifier()))
def test_what_is_no_name_of_a_metric_is_refused(text: str) -> None:
    if text and set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") and text[0] > "9":
        return
    with pytest.raises(ValidationError, match=r"name of a metric|at least 1 character|at most 128"):
        DeclaredMetrics.model_validate({**NAMES, "promptTokens": text})


def test_however_many_names_are_declared_there_are_nine_roles_to_ask_for() -> None:
    declared = [
        DeclaredMetrics.model_validate(
            {field: f"{field}_{number}" for field in (*NAMES, "promptTokens", "waitingRequests", *HISTOGRAMS)}
        )
        for number in range(50)
    ]
    roles = names_by_role(declared)
    assert len(roles) == 9
    assert all(len(names) == 50 for names in roles.values())
