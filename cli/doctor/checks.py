"""All checks of `doctor`: one question to AWS each, judged in one line.

A question that AWS does not answer is a warning: only what is known to be wrong is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from cli.doctor.batch_checks import environments, jobs, queues
from cli.doctor.budget_check import budget
from cli.doctor.function_checks import dead_letters, events, functions, schedules, secrets
from cli.doctor.patient import Patient, warning
from cli.doctor.store_checks import alarms, log_groups, storage
from cli.questions import Finding

CHECKS: Final[Sequence[Callable[[Patient], Iterator[Finding]]]] = (
    functions,
    dead_letters,
    alarms,
    environments,
    queues,
    jobs,
    secrets,
    budget,
    log_groups,
    storage,
    events,
    schedules,
)


def examine(patient: Patient) -> list[Finding]:
    """All findings, and a warning for each thing that AWS did not tell."""
    found = [finding for check in CHECKS for finding in check(patient)]
    unseen = [
        warning("not seen", sentence, "docs/operating.md lists the rights that `doctor` needs")
        for sentence in patient.account.unseen
    ]
    return [*found, *unseen]
