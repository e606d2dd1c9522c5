"""The stack's config, read through Pulumi."""

from __future__ import annotations

import pulumi

from config import ConfigError, StackConfig, load_stack_config

_SLACK_WEBHOOK_KEY = "slack-webhook-url"


def read_config() -> StackConfig:
    """The sections of `Pulumi.<stack>.yaml`, checked; shows warnings. Raises pulumi.RunError, which Pulumi prints without a traceback."""
    try:
        config, warnings = load_stack_config(pulumi.get_stack(), pulumi.Config().get_object)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in warnings:
        pulumi.log.warn(str(warning))
    return config


def slack_webhook_url() -> pulumi.Output[str] | None:
    """The incoming webhook, a secret key of its own (`pulumi config set --secret slack-webhook-url`); None where it is not set."""
    return pulumi.Config().get_secret(_SLACK_WEBHOOK_KEY)
