"""The state as the Pulumi CLI takes it, and back; that the CLI does take it is shown by
tests/conformance.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from localcloud.deployment.engine.checkpoint import checkpoint, restored
from localcloud.deployment.engine.state import Options
from tests.localcloud.deploying import run

BODY = """
    queue = aws.sqs.Queue("queue", tags={"a": "b"}, opts=pulumi.ResourceOptions(protect=True))
    secret = pulumi.Config().require_secret("word")
    aws.ssm.Parameter("parameter", name="/checkpoint/word", type="String", value=secret)
    pulumi.export("url", queue.url)
"""


def test_a_state_comes_back_as_it_went(tmp_path: Path) -> None:
    deployed = run(tmp_path, BODY, secrets={"demo:word": "hush"})
    settings = {"region": "us-east-1"}
    text = checkpoint(
        deployed.state, exports=deployed.outputs, settings=settings, passphrase="rehearsal"
    )
    again = restored(text)
    assert again.settings == settings
    assert again.exports == deployed.outputs
    # what only a program that runs knows is not in it
    known = [
        replace(r, location="", trail=(), options=Options(protect=r.options.protect))
        for r in deployed.state.resources
    ]
    stack, *others = again.state.resources
    assert stack.outputs == deployed.outputs
    assert others == known[1:]
    assert others[-1].secret_inputs == {"value"}


def test_it_says_what_the_cli_looks_for(tmp_path: Path) -> None:
    deployed = run(tmp_path, BODY.replace("/word", "/other"), secrets={"demo:word": "hush"})
    text = checkpoint(deployed.state, exports=deployed.outputs, settings={}, passphrase="rehearsal")
    deployment = json.loads(text)["deployment"]
    salt = deployment["secrets_providers"]["state"]["salt"].split(":")
    assert [len(salt), salt[0], salt[2]] == [5, "v1", "v1"]
    urns = [entry["urn"] for entry in deployment["resources"]]
    for position, entry in enumerate(deployment["resources"]):
        needs = [entry.get("parent"), entry.get("provider", "").rpartition("::")[0]]
        needs += entry.get("dependencies", [])
        assert {need for need in needs if need} <= set(urns[:position]), entry["urn"]
