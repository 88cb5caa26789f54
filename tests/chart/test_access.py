"""What the chart lets the operator do, and what it gives to people."""

from typing import Any

import pytest
from tests.chart.rendering import EVERYTHING, container, objects, of_kind, only

from tokenpace.cluster.lease import LEASE_NAME

needs_tools = pytest.mark.apiserver
pytestmark = needs_tools

NAME = "tokenpace-somewhere"
"""Of what stands outside the release's namespace."""


def rules_of_the_operator(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rules of every role that is bound to the operator."""
    found = objects(values)
    bound = {one["roleRef"]["name"] for one in found if one["kind"] in {"RoleBinding", "ClusterRoleBinding"}}
    roles = [one for one in found if one["kind"] in {"Role", "ClusterRole"} and one["metadata"]["name"] in bound]
    return [rule for role in roles for rule in role["rules"]]


def test_the_operator_has_no_wildcards_and_reads_no_secrets_no_logs_and_no_config() -> None:
    for rule in rules_of_the_operator(EVERYTHING):
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not {"*", "secrets", "configmaps", "pods/log", "pods/exec", "serviceaccounts", "nodes"} & words


def test_of_pods_the_operator_only_knows_that_they_are_there() -> None:
    assert [rule["verbs"] for rule in rules_of_the_operator() if "pods" in rule["resources"]] == [["list", "watch"]]


def test_of_an_llmdeployment_the_operator_writes_nothing_but_its_status() -> None:
    written = {
        resource: rule["verbs"]
        for rule in rules_of_the_operator()
        for resource in rule["resources"]
        if "llm" in resource
    }
    assert written == {
        "llmdeployments": ["get", "list", "watch"],
        "llmspeedcards": ["list", "watch"],
        "llmdeployments/status": ["patch"],
    }


def test_of_workloads_that_exist_already_only_the_size_may_be_touched() -> None:
    groups = [{"apiGroup": "leaderworkerset.x-k8s.io", "resource": "leaderworkersets"}]
    rules = rules_of_the_operator({"rbac.scaleTargets": groups})
    sizes = {
        (*rule["apiGroups"], resource): rule["verbs"]
        for rule in rules
        for resource in rule["resources"]
        if resource.endswith("/scale")
    }
    assert sizes == {
        ("apps", "deployments/scale"): ["get", "patch"],
        ("apps", "statefulsets/scale"): ["get", "patch"],
        ("leaderworkerset.x-k8s.io", "leaderworkersets/scale"): ["get", "patch"],
    }
    assert not {"statefulsets", "leaderworkersets"} & {resource for rule in rules for resource in rule["resources"]}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["shop"]}])
def test_of_leases_the_operator_writes_only_the_one_that_it_takes(values: dict[str, Any]) -> None:
    """Another may be created, because a name cannot be given for that; who cannot change it holds nothing by it."""
    written = [
        (rule.get("resourceNames"), rule["verbs"])
        for rule in rules_of_the_operator(values)
        if rule["resources"] == ["leases"] and not {"list", "watch"} & {*rule["verbs"]}
    ]
    assert written == [(None, ["create"]), ([LEASE_NAME], ["get", "patch"])]


def test_the_lease_of_the_whole_cluster_may_be_taken_where_the_operator_is_told_to() -> None:
    values = {"lease.namespace": "elsewhere"}
    told = {one["name"]: one.get("value") for one in container(values)["env"]}["TOKENPACE_LEASE__NAMESPACE"]
    assert [one["metadata"]["namespace"] for one in of_kind("Role", values)] == [told] == ["elsewhere"]


def test_an_operator_of_some_namespaces_has_the_same_rights_there_and_none_on_the_cluster() -> None:
    """But that its Lease is there, and that it need not look for other operators."""
    values = {"watchNamespaces": ["shop", "lab"]}
    (everywhere,) = (one["rules"] for one in of_kind("ClusterRole") if one["metadata"]["name"] == NAME)
    roles = {one["metadata"]["namespace"]: one["rules"] for one in of_kind("Role", values)}
    assert roles.keys() == {"shop", "lab"}
    for rules in roles.values():
        assert [one for one in rules if one["resources"] != ["leases"]] == everywhere[:-1]
    assert of_kind("ClusterRoleBinding", values) == []


def test_every_binding_is_for_the_operators_account_alone() -> None:
    account = {"kind": "ServiceAccount", "name": "tokenpace", "namespace": "somewhere"}
    for values in ({}, {"watchNamespaces": ["shop"]}):
        for kind in ("RoleBinding", "ClusterRoleBinding"):
            assert all(one["subjects"] == [account] for one in of_kind(kind, values))


def test_the_roles_can_be_left_to_somebody_else() -> None:
    values = {"rbac.create": False, "rbac.aggregateClusterRoles": False}
    kinds = {one["kind"] for one in objects(values)}
    assert not {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} & kinds


def test_people_who_may_only_view_cannot_run_pods_by_way_of_an_llmdeployment() -> None:
    """`podTemplate` makes creating one as strong as creating a Deployment: for `edit` and `admin`."""
    aggregated = {
        audience: {
            verb
            for role in of_kind("ClusterRole")
            if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{audience}") == "true"
            for rule in role["rules"]
            for verb in rule["verbs"]
        }
        for audience in ("view", "edit", "admin")
    }
    assert aggregated["view"] == {"get", "list", "watch"}
    assert aggregated["edit"] == aggregated["admin"] > {"create", "update", "patch", "delete"}


def test_the_admission_policy_covers_every_kind_that_the_operator_may_create() -> None:
    covered = {
        (group, resource)
        for rule in only("ValidatingAdmissionPolicy")["spec"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    creatable = {
        (group, resource)
        for rule in rules_of_the_operator()
        if "create" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert creatable - covered == {("", "events"), ("coordination.k8s.io", "leases")}


def test_the_admission_policy_is_about_the_account_that_the_operator_runs_as() -> None:
    for values in ({}, {"serviceAccount.name": "its-own"}):
        account = only("Deployment", values)["spec"]["template"]["spec"]["serviceAccountName"]
        (condition,) = only("ValidatingAdmissionPolicy", values)["spec"]["matchConditions"]
        assert f"'system:serviceaccount:somewhere:{account}'" in condition["expression"]


def test_the_admission_policy_denies_and_does_not_let_pass_what_it_cannot_judge() -> None:
    assert only("ValidatingAdmissionPolicy")["spec"]["failurePolicy"] == "Fail"
    binding = only("ValidatingAdmissionPolicyBinding")["spec"]
    assert binding["validationActions"] == ["Deny"]
    assert binding["policyName"] == only("ValidatingAdmissionPolicy")["metadata"]["name"]
