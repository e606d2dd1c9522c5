"""Section `monitoring`: logs, what is measured, when an alarm goes off, and who hears of it."""

from __future__ import annotations

from typing import Literal

from config.base import EmailAddress, Section, WebAddress, setting

# the values that CloudWatch Logs accepts
RetentionDays = Literal[
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
]


class MonitoringSection(Section):
    """Logs, alarms and messages.

    The Slack webhook is the secret key `slack-webhook-url`, never part of a section.
    """

    log_retention_days: RetentionDays = setting(
        30, about="Days for which logs are kept.", change="in place"
    )
    emails: tuple[EmailAddress, ...] = setting(
        (), about="Who gets an e-mail for every alarm.", change="in place", max_length=20
    )
    runbook_url: WebAddress | None = setting(
        None,
        about=(
            "Where people read docs/runbook.md; every alarm links to its section there. Without it"
            " the alarms name file and section."
        ),
        change="in place",
    )
    # an alarm looks back one day at most where its period is below an hour
    measure_minutes: Literal[1, 2, 3, 5, 10, 15, 30] = setting(
        5, about="Minutes from one look at queues and environments to the next.", change="in place"
    )
    stuck_minutes: int = setting(
        30,
        about=(
            "Minutes after which a job that has not moved in the line of RUNNABLE jobs raises an"
            " alarm."
        ),
        change="in place",
        ge=1,
        le=10080,
    )
    deep_queue_jobs: int = setting(
        50, about="RUNNABLE jobs in a queue that are too many.", change="in place", ge=1
    )
    deep_queue_minutes: int = setting(
        30,
        about="Minutes for which they have to be too many before an alarm goes off.",
        change="in place",
        ge=1,
        le=1440,
    )
    at_max_minutes: int = setting(
        60,
        about=(
            "Minutes after which an environment that wants all the vCPUs it may have raises an"
            " alarm."
        ),
        change="in place",
        ge=1,
        le=1440,
    )
    failed_jobs: int = setting(
        1,
        about=(
            "Failed jobs of a queue within five minutes that raise an alarm; Slack hears of every"
            " failed run besides."
        ),
        change="in place",
        ge=1,
    )
    failed_analyses: int = setting(
        2,
        about="Failed jobs of the analysis within 24 hours that raise an alarm.",
        change="in place",
        ge=1,
    )
    no_success_hours: int | None = setting(
        26,
        about=(
            "Hours without any finished run that raise an alarm, which a new stack has until its"
            " first run; null for a stack that gets no daily file."
        ),
        change="in place",
        ge=1,
        le=168,
    )
    running_usd_per_hour: float | None = setting(
        None,
        about=(
            "US dollars per hour of running environments above which an alarm goes off; needs a"
            " price for every instance type. Without it there is no such alarm."
        ),
        change="in place",
        gt=0,
    )
