"""File names in any script: one data set each, names that AWS takes, and the same data set for the
same name.
"""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from workloads import contract, names
from workloads.contract import Run, Upload

NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=90
)
NEAR = st.text("aAé.é_ -+1\u0301売✓ß", min_size=1, max_size=6)
"""Few characters, so that names which may be taken for one another are drawn."""


def same(one: str, other: str) -> bool:
    """The rule that docs/data.md states, spelt without the code: letter case, normalisation and
    separators do not count.
    """

    def words(name: str) -> list[str]:
        lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
        return [
            word
            for word in lower.translate(dict.fromkeys(map(ord, " _-."), "\0")).split("\0")
            if word
        ] or [lower]

    return words(one) == words(other)


def upload(name: str, etag: str = "e") -> Upload:
    return Upload(bucket="b", key=f"data/20260131/{name}.csv", etag=etag)


@given(NAMES | NEAR, NAMES | NEAR)
@example("売上", "在庫")
@example("ünï ✓", "n")
@example("x" * 70 + "a", "x" * 70 + "b")
@example("a+b", "a-b")
@example("___", "---")
@example("cafe--850f7dc43910", "café")
def test_two_names_are_one_data_set_only_where_the_rule_says_so(one: str, other: str) -> None:
    assert (upload(one).dataset == upload(other).dataset) == same(one, other)
    assert (
        Run(upload(one).run_id).partition_key == Run(upload(other).run_id).partition_key
    ) == same(one, other)


@given(NAMES)
def test_a_name_is_one_data_set_however_unicode_composes_it(name: str) -> None:
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len({upload(form).dataset for form in forms}) == 1
    assert len({names.title(upload(form).key) for form in forms}) == 1


@given(NAMES, st.integers(1, 999))
def test_ids_are_names_that_aws_takes(name: str, attempt: int) -> None:
    run = Run(upload(name).run_id)
    assert run.dataset == upload(name).dataset
    for stage in contract.STAGES:
        for job in (run.job_name(stage, attempt), f"{run.job_name(stage, attempt)}-fallback"):
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", job), (
                "AWS Batch API, SubmitJob, jobName"
            )
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", run.execution_name(attempt)), (
        "Step Functions API, StartExecution, name"
    )
    for key in (run.table_key, run.report_key, run.manifest_key):
        assert re.fullmatch(r"[A-Za-z0-9!_.*'()/-]{1,1024}", key), (
            "S3 user guide, object key naming, safe characters"
        )


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("sales", "sales"),
        ("Sales EU", "sales-eu"),
        ("nyc-weather-2013", "nyc-weather-2013"),
        ("a__b.c", "a-b-c"),
        ("-x-", "x"),
        ("y" * 64, "y" * 64),
    ],
)
def test_plain_names_keep_the_ids_that_are_stored_under_them(name: str, dataset: str) -> None:
    assert upload(name).dataset == dataset


@pytest.mark.parametrize(
    "ending", [".csv", ".CSV", ".Csv", ".tsv", ".csv.gz", ".CSV.GZ", ".Tsv.gz"]
)
def test_every_ending_of_an_upload_leaves_the_name(ending: str) -> None:
    found = Upload(bucket="b", key=f"data/20260131/Sales v1.2{ending}", etag="e")
    assert (found.dataset, names.title(found.key)) == ("sales-v1-2", "Sales v1.2")


@given(NAMES)
def test_a_key_is_an_upload_or_there_is_a_clause_that_says_why_not(name: str) -> None:
    key = f"data/20260131/{name}"
    assume(not key.endswith("/"))
    assert (names.fault_of(key) == "") == (
        re.fullmatch(r"(?is).+\.(csv|tsv)(\.gz)?", name) is not None
    )


@pytest.mark.parametrize(
    "date", ["20260230", "2026-01-1", "202601", "٢٠٢٦٠١٣١", " 2026011", "00000101"]
)
def test_what_is_no_date_is_no_folder_of_uploads(date: str) -> None:
    assert "is not a calendar date" in names.fault_of(f"data/{date}/a.csv")
