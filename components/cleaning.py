"""How the config of the preprocess job reaches its code: by environment variables, which `clean` of the command line takes, too."""

from __future__ import annotations

import json

from config.jobs import PreprocessJob
from config.pipeline import PipelineSection
from workloads import contract


def variables(job: PreprocessJob) -> dict[str, str]:
    """Variables of the preprocess job that say how files are cleaned."""
    found = {
        contract.ENV_UNIT_ROWS: str(job.unit_rows),
        contract.ENV_INCOMPLETE_ROWS: job.incomplete_rows,
        contract.ENV_MAX_REJECTED_PERCENT: f"{job.max_rejected_percent:g}",
        contract.ENV_WRITE_CLEANED_CSV: "true" if job.write_cleaned_csv else "false",
    }
    if job.columns:
        declared = {
            dataset: {name: column.model_dump(exclude_defaults=True) for name, column in columns.items()}
            for dataset, columns in job.columns.items()
        }
        found[contract.ENV_COLUMNS] = json.dumps(declared, sort_keys=True)
    return found


def shown(pipeline: PipelineSection) -> dict[str, str]:
    """The variable that says whether sentences may show cells of the file; every stage has it."""
    return {contract.ENV_SHOW_VALUES: "true" if pipeline.show_values else "false"}
