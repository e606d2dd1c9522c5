"""The stack's config, read through Pulumi."""

from __future__ import annotations

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from config import ConfigError, StackConfig, load_stack_config
from config.stack import SECRETS

_SLACK_WEBHOOK_KEY = "slack-webhook-url"


def read_config() -> StackConfig:
    """The sections of `Pulumi.<stack>.yaml`, checked; shows warnings.

    Raises pulumi.RunError, which Pulumi prints without a traceback.
    """
    values = pulumi.Config()
    given = _keys()
    own = [
        key.removeprefix(f"{values.name}:") for key in given if key.startswith(f"{values.name}:")
    ]
    secrets = [key for key in SECRETS if key in own]
    plain = [key for key in secrets if not pulumi.runtime.is_config_secret(values.full_key(key))]
    try:
        config, warnings = load_stack_config(
            pulumi.get_stack(),
            values.get_object,
            own,
            plain=plain,
            empty=[key for key in own if values.get(key) == ""],
            region=pulumi.Config("aws").get("region") or "",
            naming=pulumi.Config("pulumi").get("autonaming") or "",
            foreign=given,
            project=values.name,
        )
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in warnings:
        pulumi.log.warn(str(warning))
    return config


def _keys() -> list[str]:
    """All keys of the stack's config in full, those too that the program does not know."""
    return sorted({**get_config_env(), **CONFIG.get()})


def slack_webhook_url() -> pulumi.Output[str] | None:
    """The incoming webhook, a secret key of its own (`pulumi config set --secret
    slack-webhook-url`); None where it is not set.
    """
    return pulumi.Config().get_secret(_SLACK_WEBHOOK_KEY)
