"""Every stack of this repository deploys: all that AWS would have to make exists, and nothing is
secret that is exported.

A second deployment changes nothing, and a deletion leaves nothing behind; what AWS has deleted
already is deleted again without a word, as it has to be after a CLI was killed in between.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from components.arns import Named, named_arn
from components.context import StackContext
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy, destroy
from localcloud.deployment.engine.state import Resource, State
from localcloud.deployment.provider import Provider
from localcloud.deployment.provider.values import is_unknown
from tests.localcloud.deploying import no_aws
from tests.localcloud.inventory import inventory

ROOT = Path(__file__).parents[2]
KEY = "batch-reference:slack-webhook-url"
WEBHOOK = "https://hooks.slack.com/services/T0/B0/x"
STORAGE = "batch-reference:storage"


KINDS = {kind.pulumi_type: kind for kind in get_args(Named)}
NAMES = ("name", "bucket", "alarmName")
CONTEXT = StackContext(
    project="batch-reference",
    stack="any",
    region="us-east-1",
    account_id=LocalCloud.account_id,
    partition="aws",
    tags={},
)
DOCUMENTS = {
    "aws:cloudwatch/dashboard:Dashboard": "dashboardBody",
    "aws:cloudwatch/eventRule:EventRule": "eventPattern",
    "aws:cloudwatch/eventTarget:EventTarget": "arn",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sfn/stateMachine:StateMachine": "definition",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sns/topicSubscription:TopicSubscription": "topic",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}
"""What names nothing but resources whose names Pulumi has chosen."""

_DELETE = Provider.delete


def _twice(provider: Provider, type_: str, old: Resource) -> None:
    _DELETE(provider, type_, old)
    if type_ != "aws:secretsmanager/secret:Secret":  # AWS refuses; a refresh sees that it is gone
        _DELETE(provider, type_, old)


def _wholly_unknown(previewed: Deployment) -> set[str]:
    """Documents of a preview of which a reader sees nothing, because of one ARN in them."""
    return {
        resource.name
        for resource in previewed.resources
        if resource.type in DOCUMENTS
        and is_unknown(resource.inputs.get(DOCUMENTS[resource.type], ""))
    }


def _built(deployed: Deployment) -> dict[str, str]:
    """ARN by URN, as the components make it of the name before there is one."""
    return {
        resource.urn: named_arn(
            KINDS[resource.type],
            next(resource.outputs[name] for name in NAMES if name in resource.outputs),
            CONTEXT,
        )
        for resource in deployed.resources
        if resource.type in KINDS
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stack", ["dev", "local", "prod"])
def test_the_stacks_of_this_repository_deploy(
    stack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets, others = {KEY: WEBHOOK}, {KEY: f"{WEBHOOK}2"}
    previewed = deploy(ROOT, stack, no_aws, secrets=secrets, preview=True)
    unprotected = {STORAGE: json.dumps({"protect": False, "delete_with_content": True})}
    with LocalCloud(tmp_path, images={}) as cloud:
        cloud.batch.store.relation_seconds = 0.0  # test_replacement.py is about that
        before = inventory(cloud.client, cloud.account_id)
        deployed = deploy(ROOT, stack, cloud.client, secrets=secrets)
        again = deploy(ROOT, stack, cloud.client, secrets=secrets, previous=deployed.state)
        if any(r.options.protect for r in deployed.resources):
            with pytest.raises(DeploymentError, match="because it is protected"):
                destroy(ROOT, stack, cloud.client, secrets=secrets, previous=again.state)
        cloud.client("s3").put_object(
            Bucket=again.outputs["results_bucket"], Key="left/behind", Body=b"x"
        )
        open_for_deletion = deploy(
            ROOT, stack, cloud.client, secrets=others, config=unprotected, previous=again.state
        )
        made = inventory(cloud.client, cloud.account_id) - before
        monkeypatch.setattr(Provider, "delete", _twice)
        gone = destroy(
            ROOT,
            stack,
            cloud.client,
            secrets=others,
            config=unprotected,
            previous=open_for_deletion.state,
        )
        left = inventory(cloud.client, cloud.account_id) - before
    assert {step.operation for step in again.steps} == {"same"}, [
        step for step in again.steps if step.operation != "same"
    ]
    assert again.outputs == deployed.outputs
    # a new webhook is another value of the secret and nothing else
    changed = {(s.operation, s.name) for s in open_for_deletion.steps if s.operation != "same"}
    assert {step for step in changed if not step[1].startswith("storage-")} == {
        ("replace", "secrets-slack-webhook"),
        ("delete replaced", "secrets-slack-webhook"),
    }
    assert {operation for operation, name in changed if name.startswith("storage-")} <= {"update"}
    assert len(made) > 90
    assert left == set()
    assert gone.state == State()
    assert {r.urn for r in deployed.resources} == {r.urn for r in previewed.resources}
    custom = [r for r in deployed.resources if r.custom]
    assert len(custom) > 90
    assert all(r.id for r in custom)
    assert all(r.location.startswith(("components/", "__main__.py")) for r in custom)
    assert deployed.outputs.keys() == previewed.outputs.keys()
    assert _wholly_unknown(previewed) == set()
    assert _built(deployed) == {
        resource.urn: resource.outputs["arnPrefix" if "arnPrefix" in resource.outputs else "arn"]
        for resource in deployed.resources
        if resource.type in KINDS
    }
    assert None not in deployed.outputs.values()
    assert WEBHOOK not in json.dumps(deployed.outputs)
