"""What is said of a section that has the wrong shape: path, value, what is allowed, fix."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import SECTIONS
from tests.config.stacks import REMOVED, changed, problems_of

CASES: list[tuple[dict[str, Any], str, str, str]] = [
    # changes, path shown, what is said, fix
    (
        {"environments.gpu.max_vcpu": 1},
        "environments.gpu.max_vcpu",
        "no such field here; known are ",
        "write max_vcpus",
    ),
    (
        {"environments.gpu.instance_types": ["a.b"]},
        "environments.gpu.instance_types",
        "only the kind on-demand or spot",
        "write instance_type, or ",
    ),
    (
        {"environments.spot-cpu.efa": True},
        "environments.spot-cpu.efa",
        "only the kind hpc has this field",
        "remove it",
    ),
    (
        {"environments.own": {"kind": "fargate", "max_vcpus": 4, "scratch": {"kind": "gp3"}}},
        "environments.own.scratch",
        "only the kind hpc or on-demand or spot has this field",
        "remove it, and set jobs.<stage>.ephemeral_storage_gib",
    ),
    (
        {"environments.gpu.scratch": {"kind": "instance_store"}},
        "environments.gpu.scratch.kind",
        "expected one of instance-store, gp3",
        "write instance-store",
    ),
    (
        {"environments.gpu.scratch": {"kind": "gp3", "size_gib": 65_537}},
        "environments.gpu.scratch.size_gib",
        "expected 65536 or less",
        "lower it",
    ),
    (
        {"queues.main.fair_share.decay": 3},
        "queues.main.fair_share.decay",
        "no such field",
        "write decay_seconds",
    ),
    ({"network.colour": "red"}, "network.colour", "known are az_count, cidr_block", "remove it"),
    (
        {"environments.gpu.max_vcpus": REMOVED},
        "environments.gpu.max_vcpus",
        "found nothing; the field is required (Ceiling of",
        "add max_vcpus",
    ),
    (
        {"jobs.analysis": REMOVED},
        "jobs.analysis",
        "found nothing; the field is required (Analysis)",
        "add analysis",
    ),
    (
        {"environments.gpu.kind": "hcp"},
        "environments.gpu.kind",
        'found "hcp"; expected one of on-demand, spot, fargate, fargate-spot, hpc',
        "write hpc",
    ),
    (
        {"environments.gpu.kind": REMOVED},
        "environments.gpu.kind",
        "found nothing; expected one of on-demand,",
        "add kind",
    ),
    (
        {"environments.gpu": "hpc"},
        "environments.gpu",
        'found "hpc"; expected a map of fields',
        "write one line",
    ),
    (
        {"network.nat": "per_zone"},
        "network.nat",
        'found "per_zone"; expected one of none, single, per-zone',
        "write per-zone",
    ),
    (
        {"network.nat": False},
        "network.nat",
        "found false; expected one of none, single, per-zone",
        "use one of these",
    ),
    (
        {"monitoring.log_retention_days": 31},
        "monitoring.log_retention_days",
        "found 31; expected one of 1, 3, 5, 7,",
        "write 30",
    ),
    (
        {"jobs.analysis.nodes": "two"},
        "jobs.analysis.nodes",
        'found "two"; expected a whole number',
        "write a whole number, without quotes",
    ),
    (
        {"jobs.analysis.nodes": "2"},
        "jobs.analysis.nodes",
        'found "2"; expected a whole number',
        "write a whole number, without quotes",
    ),
    (
        {"jobs.analysis.nodes": 2.5},
        "jobs.analysis.nodes",
        "found 2.5; expected a whole number",
        "write a whole number",
    ),
    (
        {"jobs.analysis.nodes": True},
        "jobs.analysis.nodes",
        "found true; expected a whole number",
        "write a whole number",
    ),
    (
        {"jobs.analysis.nodes": None},
        "jobs.analysis.nodes",
        "found nothing; expected a whole number",
        "write a whole number",
    ),
    (
        {"jobs.analysis.nodes": 0},
        "jobs.analysis.nodes",
        "found 0; expected 1 or more",
        "raise it to 1 or more",
    ),
    (
        {"jobs.analysis.nodes": 1001},
        "jobs.analysis.nodes",
        "found 1001; expected 1000 or less",
        "lower it to 1000 or less",
    ),
    (
        {"jobs.preprocess.vcpus": "2"},
        "jobs.preprocess.vcpus",
        "expected a number",
        "write a number, without quotes",
    ),
    (
        {"jobs.preprocess.vcpus": 0.1},
        "jobs.preprocess.vcpus",
        "found 0.1; expected 0.25 or more",
        "raise it",
    ),
    (
        {"budget.monthly_usd": 0},
        "budget.monthly_usd",
        "found 0; expected more than 0",
        "raise it above 0",
    ),
    (
        {"budget.monthly_usd": float("inf")},
        "budget.monthly_usd",
        "found Infinity; expected a finite number",
        "write a finite number",
    ),
    (
        {"environments.gpu.efa": 1},
        "environments.gpu.efa",
        "found 1; expected true or false",
        "write true or false, without quotes",
    ),
    (
        {"environments.gpu.efa": "yes"},
        "environments.gpu.efa",
        'found "yes"; expected true or false',
        "write true or false, without quotes",
    ),
    ({"tags.cost-center": 42}, "tags.cost-center", "found 42; expected text", "put it in quotes"),
    ({"tags": {"aws:x": "y"}}, "tags.aws:x", "not beginning with aws:", "write it in that form"),
    (
        {"queues.main.environments": "spot-cpu"},
        "queues.main.environments",
        'found "spot-cpu"; expected a list',
        "write [a, b]",
    ),
    (
        {"queues.main.environments": []},
        "queues.main.environments",
        "expected 1 entry or more, found 0",
        "add what is missing",
    ),
    (
        {"queues.gpu.environments": ["gpu"] * 4},
        "queues.gpu.environments",
        "expected 3 entries at most, found 4",
        "remove some",
    ),
    ({"queues.main": []}, "queues.main", "found []; expected a map of fields", "write one line"),
    ({"queues": ["main"]}, "queues", 'found ["main"]; expected a map of names', "write one line"),
    ({"network": 5}, "network", "found 5; expected a map of fields", "write one line"),
    (
        {"environments.GPU_1": {"kind": "fargate", "max_vcpus": 4}},
        "environments.GPU_1",
        'found "GPU_1"; expected lower-case letters',
        "write it in that form",
    ),
    (
        {"network.cidr_block": "10.0.0.0/8"},
        "network.cidr_block",
        "prefix length from /16 to /24",
        "write it in that form",
    ),
    (
        {"network.cidr_block": "10.0.0.1/16"},
        "network.cidr_block",
        "expected an IPv4 CIDR block",
        "write it in that form",
    ),
    (
        {"network.cidr_block": "8.8.0.0/16"},
        "network.cidr_block",
        "expected a private range",
        "write it in that form",
    ),
    (
        {"environments.gpu.instance_type": "p5"},
        "environments.gpu.instance_type",
        "for example c6i.xlarge",
        "write it in that form",
    ),
    (
        {"environments.gpu.capacity_reservation_id": "x"},
        "environments.gpu.capacity_reservation_id",
        "for example cr-",
        "write it in that form",
    ),
    (
        {"queues.main.fair_share.weights.pipeline": 0},
        "queues.main.fair_share.weights.pipeline",
        "expected 0.0001 or more",
        "raise it",
    ),
    (
        {"budget.emails.0": "oncall"},
        "budget.emails.0",
        "expected an e-mail address",
        "write it in that form",
    ),
    (
        {"budget.notify_percents": [50, 80, 90, 100, 120]},
        "budget.notify_percents",
        "expected 4 entries at most, found 5",
        "remove some",
    ),
]


@pytest.mark.parametrize(
    ("changes", "path", "says", "fix"),
    CASES,
    ids=[f"{case[1]}-{index}" for index, case in enumerate(CASES)],
)
def test_one_clear_sentence(changes, path, says, fix) -> None:
    (problem,) = [p for p in problems_of(changed(changes)) if p.code.startswith("SHAPE")]
    text = str(problem)
    assert text.startswith(f"error {problem.code} at {path}: found "), text
    assert says in text, text
    assert f"Fix: {fix}" in text, text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["hpc", "spot", "gpu", "main"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["kind", "queue"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def _paths(value: Any, prefix: str = "") -> list[str]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found = [(f"{prefix}{key}", inner) for key, inner in items]
    return [path for path, _ in found] + [
        sub for path, inner in found for sub in _paths(inner, f"{path}.")
    ]


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(_paths(changed({}))), value=JSON | st.just(REMOVED))
def test_any_value_anywhere_ends_in_sentences_of_our_own(path, value) -> None:
    for problem in problems_of(changed({path: value})):
        assert problem.code != "SHAPE-OTHER", problem
        assert problem.path.partition(".")[0] in SECTIONS
        assert "Input should" not in str(problem)
        assert problem.fix
        assert not any(
            part in {"on-demand", "spot", "fargate", "fargate-spot", "hpc", "[key]"}
            for part in problem.path.split(".")[2:]
        )
