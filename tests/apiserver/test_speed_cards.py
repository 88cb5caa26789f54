"""The corpus of speed cards, before a real API server, and what kubectl shows of one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from kubernetes.client import ApiException
from tests.api.test_speed_card import CARDS, cards
from tests.apiserver.test_admission import complaints

from tokenpace.api import names
from tokenpace.api.speed_card import LLMSpeedCard

pytestmark = pytest.mark.apiserver


@pytest.fixture
def dry_run(api_client: client.ApiClient, namespace: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    api = client.CustomObjectsApi(api_client)

    def create(manifest: dict[str, Any]) -> dict[str, Any]:
        kind = names.GROUP, names.VERSION, namespace, names.SPEED_CARD_PLURAL
        answer: dict[str, Any] = api.create_namespaced_custom_object(
            *kind, manifest, dry_run="All", field_validation="Strict"
        )
        return answer

    return create


@cards("good/*.yaml")
def test_a_good_card_is_admitted_and_read_with_the_same_defaults(path: Path, dry_run: Callable[..., Any]) -> None:
    manifest = yaml.safe_load(path.read_text())
    assert LLMSpeedCard.model_validate(dry_run(manifest)) == LLMSpeedCard.model_validate(manifest)


@cards("bad/*/*.yaml")
def test_a_bad_card_is_refused_with_the_field_and_the_cure(path: Path, dry_run: Callable[..., Any]) -> None:
    text = path.read_text()
    field, words = (line.split(": ", 1)[1] for line in text.splitlines()[:2])
    with pytest.raises(ApiException) as refusal:
        dry_run(yaml.safe_load(text))
    found = complaints(refusal.value)
    assert [one for one in found if one.startswith(f"{field}: ") and words in one], found


def test_kubectl_lists_cards_by_their_short_name(kubectl: Any) -> None:
    kubectl("apply", "--filename=-", manifest=yaml.safe_load((CARDS / "good" / "whole.yaml").read_text()))
    header, line = kubectl("get", "speedcards").splitlines()
    assert header.split() == [
        *("NAME", "MODEL", "QUANTIZATION", "ENGINE", "HARDWARE", "TOK/S", "STREAM", "QUALITY", "COST/M", "AGE")
    ]
    assert line.split()[-5:-1] == ["16.1", "27", "99.1", "0.86"]
