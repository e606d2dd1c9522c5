"""The state as the Pulumi CLI takes it, and back; that the CLI does take it is shown by
tests/conformance.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from localcloud.deployment.engine.checkpoint import checkpoint, restored
from tests.localcloud.deploying import run

BODY = """
    def hook(args):
        pass


    queue = aws.sqs.Queue(
        "queue",
        tags={"a": "b"},
        opts=pulumi.ResourceOptions(
            protect=True,
            ignore_changes=["tags"],
            replace_on_changes=["fifoQueue"],
            hooks=pulumi.ResourceHookBinding(before_delete=[pulumi.ResourceHook("hook", hook)]),
        ),
    )
    aws.sqs.Queue(
        "other",
        opts=pulumi.ResourceOptions(
            replace_with=[queue], replacement_trigger={"a": [1, "b"]}, deleted_with=queue
        ),
    )
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
    known = [replace(r, location="", trail=()) for r in deployed.state.resources]
    stack, *others = again.state.resources
    assert stack.outputs == deployed.outputs
    assert others == known[1:]
    named = {other.name: other for other in others}  # they come in the order in which they end
    assert named["parameter"].secret_inputs == {"value"}
    assert named["queue"].options.hooks == {"before_delete": ("hook",)}
    assert json.loads(named["other"].options.replacement_trigger) == {"a": [1, "b"]}


def test_what_waits_for_its_deletion_comes_back_too(tmp_path: Path) -> None:
    deployed = run(tmp_path, BODY.replace("/word", "/third"), secrets={"demo:word": "hush"})
    state = replace(deployed.state, pending_deletion=deployed.state.resources[-1:])
    text = checkpoint(state, exports={}, settings={}, passphrase="rehearsal")
    assert json.loads(text)["deployment"]["resources"][-1]["delete"] is True
    again = restored(text).state
    assert [each.urn for each in again.pending_deletion] == [state.resources[-1].urn]
    assert len(again.resources) == len(state.resources)


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
