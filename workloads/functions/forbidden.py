"""What is told of a run that a policy forbids to submit."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from workloads.contract import Run
from workloads.functions import clients, run_messages, slack
from workloads.functions.log import log
from workloads.functions.notification_log import Notification, NotificationLog
from workloads.functions.webhook import tell


def tell_forbidden(run: Run, reason: str) -> None:
    """Says in Slack, once for each run, that it has not begun because a policy forbids it: the
    action of the budget, as a rule.

    The event is raised on and ends in the dead-letter queue, from where the run can be begun; so
    Slack's own trouble ends in the log.
    """
    notification = Notification(
        pk=run.partition_key,
        sk=f"{run.sort_key_prefix}FORBIDDEN",
        state="FORBIDDEN",
        changed_at="-",
    )
    notification_log = NotificationLog(clients.metrics_table())
    if not notification_log.begin(notification):
        return
    title = run_messages.title(run, None, "the run has not begun")
    message = slack.Message(
        text=f"{title}: a policy forbids it",
        blocks=(
            slack.header(title),
            slack.section(
                f"*Why*\nA policy forbids to submit it: {slack.escape(slack.sentence(reason))}"
            ),
            slack.section(
                "*What to do*\nIf the budget is used up, lift the stop (docs/runbook.md, The"
                f" budget is used up), then {slack.code('batchref replay submit')} begins what has"
                " waited."
            ),
            slack.context(f"Run {slack.code(run.run_id)}"),
        ),
    )
    try:
        tell(message)
    except (slack.SlackError, ClientError, BotoCoreError) as error:
        log("slack not told", reason=str(error))
        notification_log.release(notification)
    else:
        notification_log.told(notification)
