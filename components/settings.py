"""The stack's config, read through Pulumi."""

from __future__ import annotations

import pulumi

from config import ConfigError, StackConfig, load_stack_config
from config.stack import SECRETS

_SLACK_WEBHOOK_KEY = "slack-webhook-url"


def read_config() -> StackConfig:
    """The sections of `Pulumi.<stack>.yaml`, checked; shows warnings. Raises pulumi.RunError, which Pulumi prints without a traceback."""
    values = pulumi.Config()
    secrets = [key for key in SECRETS if values.get_secret(key) is not None]
    plain = [key for key in secrets if not pulumi.runtime.is_config_secret(values.full_key(key))]
    try:
        config, warnings = load_stack_config(
            pulumi.get_stack(),
            values.get_object,
            secrets,
            plain=plain,
            region=pulumi.Config("aws").get("region") or "",
        )
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in warnings:
        pulumi.log.warn(str(warning))
    return config


def slack_webhook_url() -> pulumi.Output[str] | None:
    """The incoming webhook, a secret key of its own (`pulumi config set --secret slack-webhook-url`); None where it is not set."""
    return pulumi.Config().get_secret(_SLACK_WEBHOOK_KEY)
