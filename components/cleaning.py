"""How the config of the preprocess job reaches its code: by environment variables, which `clean` of
the command line takes, too.
"""

from __future__ import annotations

from config.jobs import PreprocessJob
from config.pipeline import PipelineSection
from workloads.variables import (
    ENV_COLUMNS,
    ENV_INCOMPLETE_ROWS,
    ENV_MAX_REJECTED_PERCENT,
    ENV_SHOW_VALUES,
    ENV_UNIT_ROWS,
    ENV_WRITE_CLEANED_CSV,
)


def variables(job: PreprocessJob) -> dict[str, str]:
    """Variables of the preprocess job that say how files are cleaned."""
    found = {
        ENV_UNIT_ROWS: str(job.unit_rows),
        ENV_INCOMPLETE_ROWS: job.incomplete_rows,
        ENV_MAX_REJECTED_PERCENT: f"{job.max_rejected_percent:g}",
        ENV_WRITE_CLEANED_CSV: "true" if job.write_cleaned_csv else "false",
    }
    if job.columns:
        found[ENV_COLUMNS] = job.columns_text
    return found


def shown(pipeline: PipelineSection) -> dict[str, str]:
    """The variable that says whether sentences may show cells of the file; every stage has it."""
    return {ENV_SHOW_VALUES: "true" if pipeline.show_values else "false"}
