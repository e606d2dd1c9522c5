"""The Pulumi CLI deploys, changes and destroys a stack of this repository, and does what our own
engine does.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from localcloud.deployment.deploy import deploy, destroy
from localcloud.deployment.engine.state import Options, Resource
from tests.conformance.cli import ROOT, Cli, short, steps
from tests.conformance.conftest import Rehearsal
from tests.localcloud.drifts import DRIFTS
from tests.localcloud.inventory import inventory

WEBHOOK = "https://hooks.slack.com/services/T0/B0/secret"
KEY = "batch-reference:slack-webhook-url"


@pytest.mark.timeout(900)
def test_a_stack_comes_changes_and_goes_alike_in_both_engines(rehearsal: Rehearsal) -> None:
    cli, cloud = rehearsal.cli, rehearsal.cloud
    cli.of_this_project()
    before = inventory(cloud.client, cloud.account_id)
    cli.run("stack", "init", "local")
    cli.run("config", "set", "--secret", KEY, WEBHOOK)
    created = cli.preview()
    cli.run("up", "--yes", "--skip-preview", "--non-interactive")
    resources = cli.state()
    real = {r["urn"]: r for r in resources}
    assert (
        WEBHOOK
        not in (cli.program.parent / "backend")
        .joinpath(".pulumi/stacks/batch-reference/local.json")
        .read_text()
    )

    expected = {}
    for plant in DRIFTS:
        resource, path = plant(functools.partial(_resource, resources), cloud.client)
        expected[resource.urn] = path
    seen = cli.preview("--refresh")
    told = {
        (step["urn"], path)
        for step in seen
        for path in (["gone"] if step["op"] == "create" else step["detailedDiff"])
    }
    assert told >= set(expected.items())
    # nothing else has changed since the CLI made it; these two name the definition that is gone
    assert {(short(urn), path) for urn, path in told - set(expected.items())} == {
        ("Function pipeline-submit", "environment.variables.PIPELINE_JOB_DEFINITIONS"),
        ("RolePolicy pipeline-submit-role", "policy"),
    }

    change = _change(cli)
    previewed = cli.preview()  # by the state, which knows nothing of the changes by hand
    cli.run("up", "--refresh", "--yes", "--skip-preview", "--non-interactive")
    assert cli.preview("--refresh") == []  # neither of the changes by hand nor of this one
    cli.run("destroy", "--yes", "--skip-preview", "--non-interactive", "--run-program")
    assert inventory(cloud.client, cloud.account_id) - before == set()

    own = deploy(ROOT, "local", cloud.client, secrets={KEY: WEBHOOK})
    mine = {r.urn: r for r in own.resources}
    providers = {urn for urn in real if "pulumi:providers" in urn}
    assert set(real) - providers == set(mine)
    assert {step["urn"] for step in created} == set(mine)
    for urn, resource in mine.items():
        if resource.custom:
            assert set(real[urn].get("inputs", {})) == set(resource.inputs), urn
            assert set(resource.outputs) <= {*real[urn].get("outputs", {}), "id"}, urn
            assert sorted(real[urn].get("dependencies", ())) == list(resource.dependencies), urn
    changed = deploy(cli.program, "local", cloud.client, secrets={KEY: WEBHOOK}, previous=own.state)
    done = [
        f"{step.operation} {step.type.rpartition(':')[2]} {step.name}"
        for step in changed.steps
        if step.operation != "same"
    ]
    assert steps(previewed) == sorted(done)
    paths = {step["urn"]: set(step["detailedDiff"] or ()) for step in previewed}
    for step in changed.steps:
        if step.operation == "update":
            heads = {path.partition(".")[0].partition("[")[0] for path in paths[step.urn]}
            assert heads == set(step.changed), step.urn
    assert change
    destroy(cli.program, "local", cloud.client, secrets={KEY: WEBHOOK}, previous=changed.state)


def _resource(found: list[dict[str, Any]], token: str, name: str) -> Resource:
    """What the changes by hand have to know of a resource of the CLI's state."""
    entry = next(r for r in found if r["type"] == token and r["urn"].endswith(f"::{name}"))
    return Resource(
        urn=entry["urn"],
        type=token,
        name=name,
        parent="",
        custom=True,
        id=entry["id"],
        inputs=entry["inputs"],
        outputs=entry["outputs"],
        provider="",
        options=Options(),
        location="",
        trail=(),
        secret_inputs=frozenset(),
        dependencies=(),
        property_dependencies={},
    )


def _change(cli: Cli) -> str:
    """Some of everything: in place, a replacement's cascade, and what comes and goes."""
    file: Path = cli.program / "Pulumi.local.yaml"
    text = file.read_text()
    for old, new in (
        ("log_retention_days: 1", "log_retention_days: 7"),
        ("max_vcpus: 16", "max_vcpus: 32"),
        ("c6i.2xlarge, ", ""),
        ("monthly_usd: 100", "monthly_usd: 120"),
        ("oncall@example.com", "second@example.com, oncall@example.com"),
        ("cost-center: rehearsal", "cost-center: other"),
        ("memory_mib: 4096", "memory_mib: 8192"),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return text
