"""Section `monitoring`: logs and who hears of failures."""

from __future__ import annotations

from typing import Literal

from config.base import EmailAddress, Section, setting

# the values that CloudWatch Logs accepts
RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]


class MonitoringSection(Section):
    """Log groups and messages. The Slack webhook is the secret key `slack-webhook-url`, never part of a section."""

    log_retention_days: RetentionDays = setting(30, about="Days for which logs are kept.", change="in place")
    emails: tuple[EmailAddress, ...] = setting(
        (), about="Who gets an e-mail when an event is lost for good.", change="in place", max_length=20
    )
