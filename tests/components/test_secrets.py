from __future__ import annotations

import pytest

from components.secrets import Secrets, SecretsArgs
from tests.components import mocks

SECRET, VERSION = (
    "aws:secretsmanager/secret:Secret",
    "aws:secretsmanager/secretVersion:SecretVersion",
)
WEBHOOK = "https://hooks.slack.example/services/T/B/x"


def deploy(context, webhook: str | None) -> mocks.Recording:
    return mocks.deploy(
        lambda: Secrets("secrets", SecretsArgs(context=context, slack_webhook_url=webhook))
    )


@pytest.mark.parametrize(("webhook", "count"), [(None, 1), (WEBHOOK, 2)])
def test_every_value_is_secret_in_the_state(context, webhook, count) -> None:
    made = deploy(context, webhook)
    secrets = {s.id: s for s in made.all(SECRET, count=count)}
    versions = {secrets[v.inputs["secretId"]].name: v for v in made.all(VERSION, count=count)}
    assert all("secretString" in v.secret_inputs for v in versions.values())
    outputs = made.component("Secrets").outputs
    assert outputs["launch_token_arn"] in secrets
    assert (outputs.get("slack_webhook_arn") in secrets) == (webhook is not None)
    if webhook:
        assert versions["secrets-slack-webhook"].inputs["secretString"] == webhook


def test_the_launch_token_outlives_deployments_and_the_webhook_follows_the_config(context) -> None:
    made = deploy(context, WEBHOOK)
    assert made.one(VERSION, "secrets-launch-token").options.ignore_changes == ("secretString",)
    assert made.one(VERSION, "secrets-slack-webhook").options.ignore_changes == ()
