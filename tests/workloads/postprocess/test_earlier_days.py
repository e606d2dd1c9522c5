"""Drift against the newest earlier day of a dataset, whatever is done in which order."""

from __future__ import annotations

import pytest

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import RUN, all_items, process, stored, strict, table
from workloads.contract import Run
from workloads.postprocess import stage
from workloads.runtime import s3


def test_drift_is_against_the_newest_earlier_day_whatever_is_done_in_which_order(world):
    days = {
        date: Run(f"{date}-sales-{n:012x}")
        for n, date in enumerate(("20260128", "20260129", "20260131"))
    }
    for date in ("20260128", "20260131", "20260129"):  # one day is filled in later
        process(days[date], table(seed=int(date[-2:]), shift=40.0 if date == "20260131" else 0.0))
    assert all_items()["LATEST"]["run_id"] == days["20260131"].run_id
    stage.main(days["20260131"])  # once more, now that the day before is there
    drifts = {date: strict(stored(run.summary_key))["drift"] for date, run in days.items()}
    assert drifts["20260128"]["reference_run_id"] is None
    assert drifts["20260129"]["reference_run_id"] == days["20260128"].run_id
    assert drifts["20260131"]["reference_run_id"] == days["20260129"].run_id
    assert {entry["column"] for entry in drifts["20260131"]["strongest"][:2]} == {
        "amount",
        "amount_eur",
    }
    assert drifts["20260131"]["strongest"][0]["psi"] > 1
    assert max(entry["psi"] for entry in drifts["20260129"]["strongest"]) < 0.25


@pytest.mark.parametrize(
    "ids", [("ffffffffffff", "000000000000"), ("000000000000", "ffffffffffff")]
)
def test_of_two_files_of_one_earlier_day_the_last_one_counts(world, ids):
    first, corrected = (Run(f"20260130-sales-{digits}") for digits in ids)
    for minute, run in enumerate((first, corrected)):
        fa.store(s3.put_bytes, run, table())
        started = f"2026-01-30T02:0{minute}:00+00:00"
        s3.put_bytes(
            fa.RESULTS,
            run.stage_record_key("analysis"),
            fa.record(run, "analysis", started, 1.0).to_json(),
        )
        stage.main(run)
    process(RUN, table())
    assert strict(stored(RUN.summary_key))["drift"]["reference_run_id"] == corrected.run_id


def test_columns_that_come_and_go_and_a_reference_that_is_gone(world):
    earlier = Run("20260130-sales-aaaaaaaaaaaa")
    process(earlier, table().rename(columns={"amount": "sum"}))
    process(RUN, table())
    drift = strict(stored(RUN.summary_key))["drift"]
    assert (drift["new_columns"], drift["gone_columns"]) == (["amount"], ["sum"])
    s3.client().delete_object(Bucket=fa.RESULTS, Key=earlier.profile_key)
    stage.main(RUN)
    drift = strict(stored(RUN.summary_key))["drift"]
    assert drift["reference_run_id"] is None
    assert earlier.run_id in drift["note"]
