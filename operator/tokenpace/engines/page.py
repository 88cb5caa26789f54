"""`docs/engines.md`, from the adapters: what they set, what they read, and what a rendered pod has.

`python -m tokenpace.engines.page` prints it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.description import Description, Mode
from tokenpace.engines.engine import COMPLETIONS_PATH, ENGINE_CONTAINER, EngineAdapter, GenerationApi, Launch
from tokenpace.engines.hardware import ASKED_BY
from tokenpace.engines.pod import (
    CACHE_DIRECTORIES,
    DEFAULT_METRICS_PATH,
    METRICS_PATH_ANNOTATION,
    PROPAGATION_SECONDS,
    USER_NAME,
)
from tokenpace.engines.registry import ADAPTERS, adapter_of

_HEAD: Final = f"""\
# Engines

Generated from the adapters in `operator/tokenpace/engines` by `make engines`. A workload that you run yourself
(`scaleTargetRef`) is only read: what is said of launching does not hold for it.

{{contents}}

What was verified, and how; the rest is from documentation alone:

| | metrics | API, load, switching | the image | flags |
|---|---|---|---|---|
{{verified}}

The same on every engine:
- The port is named `http`, for the Service and for Prometheus, which must scrape it and keep the pod's namespace and
  name as labels: at least two scrapes, better four, in the window of the queries (60 s by default).
- Loading may take an hour. Before a pod ends it is **drained**: {PROPAGATION_SECONDS} s until no new requests come,
  then as below.
- Your `engine.args` come last and win. Refused are those that the Service, the probes or other variants rely on.
- The batch limit is your own argument, else `expected.atStreams`: beyond the streams that the declared speed was seen
  at, requests queue instead of slowing every stream. Where the engine is told none, capacity at its limit is learned.
- `quantization` is checked; a value that an engine does not know is refused with the list of those that it does.
- Weights: `volume` is mounted read-only; `image` without `reference` is in the engine's own image, with it they are
  copied from that image, which needs `cp`, when the pod starts; `huggingFace` is downloaded into `model.cache`, else
  anew by each pod.
- The root filesystem is read-only, capabilities are dropped, the cluster's credentials are not there. {{places}} are
  set, all on an `emptyDir`, and `USER={USER_NAME}`: images run under a number that no `/etc/passwd` knows. `fsGroup`
  is 65532. `podTemplate` changes all of it. Files must be readable to the user. No usage statistics are sent.
- The default image is chosen by `resources`: {{devices}}. Hardware that an engine has none for needs `engine.image`.
  It stays with a variant until you change the variant, whatever the operator's version.
- Not measured on any of them: percentiles, and first-token time. They are estimated, and conditions say so.
- *Live* moves while requests are worked on; *at request end* is late by as long as requests take, so that the window
  of the queries should be several times that; *estimated* is no measurement, and what it cannot tell is
  `NotMeasurable` in `SLOMet`.
"""


def page() -> str:
    """Return the page in Markdown."""
    adapters = list(ADAPTERS.values())
    contents = ", ".join(f"[{one.description.title}](#{_anchor(_heading(one))})" for one in adapters)
    rows = [(one.description.title, one.description.verified) for one in adapters]
    head = _HEAD.format(
        contents=f"{len(adapters)} engines: {contents}.",
        verified="\n".join(
            f"| {title} | {found.metrics} | {found.serving} | {found.image} | {found.flags} |" for title, found in rows
        ),
        places=", ".join(f"`{name}={value}`" for name, value in CACHE_DIRECTORIES.items()),
        devices=", ".join(f"{asked} means {make}" for make, asked in ASKED_BY.items()),
    )
    return "\n".join([head, *(_section(one) for one in adapters)])


def example_spec(adapter: EngineAdapter) -> LLMDeploymentSpec:
    """Return a spec whose one variant is the adapter's example."""
    return LLMDeploymentSpec.model_validate(
        {
            "model": {"servedName": "chat", "contextTokens": 8192},
            "slo": {"generationTokensPerSecond": 100},
            "variants": [{"name": "example", "engine": {"type": adapter.type}, **adapter.description.example}],
        }
    )


def example_launch(adapter: EngineAdapter) -> Launch:
    """Return the launch of the adapter's example.

    Raises:
        ValueError: the example names no source or image.
    """
    spec = example_spec(adapter)
    (variant,) = spec.variants
    image = (variant.engine.image if variant.engine else None) or adapter.default_image(variant)
    if variant.source is None or image is None:
        raise ValueError(f"the example of {adapter.type} needs a `source` and an image")
    return Launch(spec=spec, variant=variant, source=variant.source, image=image)


def _section(adapter: EngineAdapter) -> str:
    text = adapter.description
    parts = [f"## {_heading(adapter)}\n"]
    if text.introduction:
        parts.append(f"{text.introduction}\n")
    parts += [_table(("launched", ""), _facts(adapter)), _yaml(adapter), *(_mode(mode) for mode in text.modes)]
    parts += ["".join(f"- {note}\n" for note in text.notes)] if text.notes else []
    return "\n".join(parts)


def _heading(adapter: EngineAdapter) -> str:
    return f"{adapter.description.title} (`type: {adapter.type}`)"


def _facts(adapter: EngineAdapter) -> Iterator[tuple[str, str]]:
    """Yield what holds of every pod of the engine, most of it read from one that is rendered."""
    text, launch = adapter.description, example_launch(adapter)
    rendered = adapter_of(launch.variant)
    template = rendered.pod_template(launch)
    pod, annotations = template["spec"], template.get("metadata", {}).get("annotations", {})
    (container,) = (one for one in pod["containers"] if one["name"] == ENGINE_CONTAINER)
    for make, image in text.images.items():
        yield f"image, {make}", f"`{image}`"
    yield "`quantization`", _quantization(text)
    yield "user", f"{pod['securityContext']['runAsUser']}: {text.user}"
    yield "own directories", _directories(container)
    yield "probed by", f"`{container['readinessProbe']['httpGet']['path']}` on port {rendered.port}"
    yield "scraped at", f"`{annotations.get(METRICS_PATH_ANNOTATION, DEFAULT_METRICS_PATH)}` on the same port"
    yield "tried by", _api(rendered)
    yield "drained", f"{text.drained}; grace period {pod['terminationGracePeriodSeconds']} s"
    shared = any(mount["mountPath"] == "/dev/shm" for mount in container["volumeMounts"])  # noqa: S108
    yield "shared memory", "1 GiB, for several GPUs" if shared else "none"
    yield (
        "never used",
        "idle although it exports nothing" if adapter.silent_until_used else "exports all from its start",
    )


def _quantization(text: Description) -> str:
    legal = ", ".join(f"`{value}`" for value in text.quantizations)
    return f"{legal}: {text.quantization}" if legal else text.quantization


def _directories(container: Mapping[str, Any]) -> str:
    """Return where the engine of an example writes beside the common places."""
    own = {one["name"]: one.get("value") for one in container["env"] if str(one.get("value", "")).startswith("/")}
    beside = [f"`{name}={value}`" for name, value in own.items() if CACHE_DIRECTORIES.get(name) != value]
    return ", ".join(beside) or "none"


def _api(adapter: EngineAdapter) -> str:
    if adapter.generation_api is GenerationApi.TEXT_GENERATION:
        return "its own text generation, at `/`"
    own = "" if adapter.completions_path == COMPLETIONS_PATH else ": clients ask there, too"
    return f"OpenAI's completions, at `{adapter.completions_path}`{own}"


def _mode(mode: Mode) -> str:
    title = f"{mode.name}: " if mode.name else ""
    measured = [(one.what, f"{one.series} | {one.when}") for one in mode.measured]
    launched = [_table((f"{title}flags and settings", ""), mode.launched)] if mode.launched else []
    return "\n".join([*launched, _table((f"{title}measured", "from | "), measured)])


def _table(head: tuple[str, str], rows: Any) -> str:
    columns = 2 + head[1].count("|")
    lines = [f"| {head[0]} | {head[1]} |", "|---" * columns + "|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines) + "\n"


def _yaml(adapter: EngineAdapter) -> str:
    variant = {"name": "example", "engine": {"type": str(adapter.type)}, **adapter.description.example}
    return f"```yaml\n{yaml.safe_dump({'variants': [variant]}, sort_keys=False, width=120)}```\n"


def _anchor(heading: str) -> str:
    """Return a heading's anchor as GitHub makes it."""
    return "".join(one for one in heading.lower() if one.isalnum() or one in "_- ").replace(" ", "-")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
