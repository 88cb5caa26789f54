"""What users write stays data: in PromQL, in shell scripts, in YAML. Logs: tests/telemetry; terminals: test_lookup."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.objects import desired_objects
from tokenpace.controller.render import render
from tokenpace.engines.engine import Signal
from tokenpace.prometheus.queries import any_of_query, window_query
from tokenpace.prometheus.settings import PrometheusSettings

SELECTOR = re.compile(r'up\{namespace!="",pod!="",cluster="((?:[^"\\\n]|\\.)*)"\}\[60s\]')
"""The one selector that a query may be: a string of PromQL ends at a quote that no backslash precedes."""


@given(value=st.text())
def test_a_matcher_of_the_settings_cannot_end_its_string_in_promql(value: str) -> None:
    query = window_query(Signal("up"), PrometheusSettings(extra_matchers={"cluster": value}))
    found = SELECTOR.fullmatch(query)
    assert found is not None
    unescaped = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), found[1])
    assert unescaped == value


NAMES = re.compile(r'\{__name__=~"([a-zA-Z0-9_:|]+)",namespace!="",pod!=""\}\[60s\]')


@given(names=st.lists(st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,40}", fullmatch=True), min_size=1, unique=True))
def test_names_that_users_declare_are_asked_for_by_one_selector_and_as_they_are(names: list[str]) -> None:
    found = NAMES.fullmatch(any_of_query(names, PrometheusSettings()))
    assert found is not None
    assert set(found[1].split("|")) == set(names)


@given(text=st.text(min_size=1))
def test_only_the_name_of_a_metric_gets_into_a_query(text: str) -> None:
    try:
        declared = DeclaredMetrics.model_validate({"generatedTokens": text, "runningStreams": "streams"})
    except ValidationError:
        return
    assert NAMES.fullmatch(any_of_query([declared.generated_tokens], PrometheusSettings()))


HOSTILE = "$(touch${IFS}/pwned);`id`'\"&&exit#"
"""Without spaces, which several fields do not take."""


def manifest(engine: str, text: str, file: str | None) -> dict[str, Any]:
    source: dict[str, Any] = {
        "volume": {"claimName": "weights", "path": f"/{text}", **({"file": file} if file else {})}
    }
    return {
        "apiVersion": "tokenpace.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": "chat", "namespace": "shop"},
        "spec": {
            "model": {"servedName": text, "contextTokens": 2048, "source": source},
            "slo": {"generationTokensPerSecond": 60},
            "variants": [
                {
                    "name": "only",
                    "engine": {"type": engine, "args": ["--seed", text], "env": [{"name": "NOTE", "value": text}]},
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                }
            ],
        },
    }


def scripts(value: Any) -> list[str]:
    """Return every text of rendered objects that a shell will run."""
    if isinstance(value, list):
        own = [value[2]] if len(value) > 2 and value[1] == "-c" else []
        return own + [script for inner in value for script in scripts(inner)]
    if isinstance(value, dict):
        return [script for inner in value.values() for script in scripts(inner)]
    return []


def scripts_of(engine: str, text: str, file: str | None) -> list[str]:
    resource = manifest(engine, text, file)
    return scripts(list(desired_objects(resource, LLMDeploymentSpec.model_validate(resource["spec"]))))


@pytest.mark.parametrize("engine", ["LlamaCpp", "TGI", "VLLM", "SGLang", "TensorRTLLM", "OpenVINO"])
def test_nothing_that_is_declared_gets_into_a_shell_script(engine: str) -> None:
    file = "model.gguf" if engine == "LlamaCpp" else None
    tame = scripts_of(engine, "tame", file)
    assert tame
    assert scripts_of(engine, HOSTILE, file) == tame


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), min_size=1))
def test_nothing_that_is_declared_gets_out_of_its_place_in_rendered_yaml(text: str) -> None:
    declared = manifest("LlamaCpp", "tame", "model.gguf")
    declared["spec"]["variants"][0]["engine"]["env"][0]["value"] = text
    objects = render(yaml.safe_dump(declared))
    (again, *_) = yaml.safe_load_all(yaml.safe_dump_all(objects))
    (engine,) = again["spec"]["template"]["spec"]["containers"]
    assert {"name": "NOTE", "value": text} in engine["env"]
    assert len(objects) == 3
