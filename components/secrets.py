"""Secrets Manager secrets of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.policies import statement
from workloads.variables import ENV_SLACK_WEBHOOK_SECRET_ARN


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """What Secrets needs."""

    context: StackContext
    slack_webhook_url: pulumi.Input[str] | None
    """Incoming webhook; None where nobody reads Slack.

    Whether it is given decides how many secrets there are.
    """


class Secrets(Component):
    """The launch token by which the nodes of one analysis job know each other, and the Slack
    webhook.
    """

    launch_token_arn: pulumi.Output[str]
    slack_webhook_arn: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        token = aws.secretsmanager.get_random_password_output(
            password_length=48, exclude_punctuation=True
        ).random_password
        # AWS makes up another token at every preview; only the first one counts, else each
        # deployment would cut the nodes of a running job off from those that start after it
        self.launch_token_arn = self._secret(
            f"{name}-launch-token",
            args,
            "Shared by the nodes of an analysis job",
            token,
            ignore_changes=["secretString"],
        )
        self.slack_webhook_arn = None
        if args.slack_webhook_url is not None:
            self.slack_webhook_arn = self._secret(
                f"{name}-slack-webhook", args, "Slack incoming webhook", args.slack_webhook_url
            )
        self.register_outputs(
            {"launch_token_arn": self.launch_token_arn, "slack_webhook_arn": self.slack_webhook_arn}
        )

    def webhook_environment(self) -> dict[str, pulumi.Input[str]]:
        """By which a function knows the webhook's secret; empty where nobody reads Slack."""
        return (
            {}
            if self.slack_webhook_arn is None
            else {ENV_SLACK_WEBHOOK_SECRET_ARN: self.slack_webhook_arn}
        )

    def read_webhook(self) -> list[dict[str, Any]]:
        """The statement that such a function needs; empty likewise."""
        if self.slack_webhook_arn is None:
            return []
        return [
            statement(
                "ReadWebhook",
                actions=["secretsmanager:GetSecretValue"],
                resources=[self.slack_webhook_arn],
            )
        ]

    def _secret(
        self,
        name: str,
        args: SecretsArgs,
        description: str,
        value: pulumi.Input[str],
        ignore_changes: list[str] | None = None,
    ) -> pulumi.Output[str]:
        secret = aws.secretsmanager.Secret(
            name, description=description, tags=args.context.tags, opts=self.child()
        )
        version = aws.secretsmanager.SecretVersion(
            name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(value),
            opts=self.child(ignore_changes=ignore_changes),
        )
        return _known_before(version, secret.arn)


def _known_before(made: pulumi.Resource, value: pulumi.Output[str]) -> pulumi.Output[str]:
    """The value, for those who need it and the resource that is made.

    An output of the resource itself is unknown in the preview of its replacement, which would show
    a change of everything that holds it: a new webhook, and all policies that name its secret.
    """

    async def needed() -> set[pulumi.Resource]:
        return {*await value.resources(), made}

    async def now() -> str:
        found: Any = await value.future(with_unknowns=True)
        return cast(str, found)

    return pulumi.Output(needed(), now(), value.is_known(), value.is_secret())
