"""Every stack of this repository deploys: all that AWS would have to make exists, and nothing is secret that is exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deploy import deploy
from tests.localcloud.deploying import no_aws

ROOT = Path(__file__).parents[2]
WEBHOOK = "https://hooks.slack.com/services/T0/B0/x"


@pytest.mark.parametrize("stack", ["dev", "local", "prod"])
def test_the_stacks_of_this_repository_deploy(stack: str, tmp_path: Path) -> None:
    secrets = {"batch-reference:slack-webhook-url": WEBHOOK}
    previewed = deploy(ROOT, stack, no_aws, secrets=secrets, preview=True)
    with LocalCloud(tmp_path, images={}) as cloud:
        deployed = deploy(ROOT, stack, cloud.client, secrets=secrets)
    assert {r.urn for r in deployed.resources} == {r.urn for r in previewed.resources}
    custom = [r for r in deployed.resources if r.custom]
    assert len(custom) > 90
    assert all(r.id for r in custom)
    assert all(r.location.startswith(("components/", "__main__.py")) for r in custom)
    assert deployed.outputs.keys() == previewed.outputs.keys()
    assert None not in deployed.outputs.values()
    assert WEBHOOK not in json.dumps(deployed.outputs)
