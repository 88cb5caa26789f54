import re

from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api import names
from tokenpace.api.schema import custom_resource_definition
from tokenpace.api.variant import Variant

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
RESOURCE_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
VARIANT_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?", fullmatch=True)


@given(RESOURCE_NAMES, VARIANT_NAMES)
def test_every_object_and_label_of_the_longest_names_fits_a_dns_label(name: str, variant: str) -> None:
    texts = (
        names.workload_name(name, variant),
        names.service_name(name),
        names.disruption_budget_name(name),
        *names.variant_labels(name, variant).values(),
    )
    assert all(DNS_LABEL.fullmatch(text) for text in texts)


def test_the_bounds_of_the_names_are_those_of_the_resource() -> None:
    rules = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    assert f"at most {names.NAME_MAX_LENGTH} " in rules[0]["message"]
    longest = "v" * names.VARIANT_NAME_MAX_LENGTH
    assert Variant(name=longest).name == longest


def test_a_pod_carries_what_selects_it() -> None:
    labels = names.variant_labels("chat", "q8").items()
    assert names.fleet_selector("chat").items() <= labels
    assert names.variant_selector("chat", "q8").items() <= labels


def test_the_selector_of_the_scale_subresource_is_the_services_as_text() -> None:
    assert names.selector_text("chat") == "tokenpace.dev/llmdeployment=chat"
