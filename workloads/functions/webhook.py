"""Where the functions have the Slack webhook from: Secrets Manager, read at the moment of need and
never logged.
"""

from __future__ import annotations

import os

import boto3

from workloads.functions import slack
from workloads.functions.log import log
from workloads.variables import ENV_SLACK_WEBHOOK_SECRET_ARN


def tell(message: slack.Message) -> bool:
    """Sends a message to the channel of the stack; False where the stack names no webhook, so that
    nobody is to be told.

    Raises SlackError where Slack does not take it, and botocore's errors where the secret cannot be
    read.
    """
    secret_arn = os.environ.get(ENV_SLACK_WEBHOOK_SECRET_ARN, "").strip()
    if not secret_arn:
        log(
            "slack not told",
            reason=f"{ENV_SLACK_WEBHOOK_SECRET_ARN} is empty: the stack has no webhook",
        )
        return False
    url = (
        boto3.client("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"].strip()
    )
    slack.post(url, message)
    return True
