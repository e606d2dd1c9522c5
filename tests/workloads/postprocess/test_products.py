"""What others read: findings.parquet, the statements for Athena, and what Slack and the table are
told of the file.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any, get_args

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import RUN, all_items, stored, strict, table
from workloads import contract
from workloads.contract import Run
from workloads.postprocess import athena, findings_table, stage
from workloads.records import Column, Remark
from workloads.runtime import s3
from workloads.variables import ENV_SHOW_VALUES

REMARKS = (
    Remark(code="decimal", column="amount", sentence="1,234 could be 1.234 or 1234", sure=False),
    Remark(
        code="trailing-delimiter", column="", sentence="every row ends with a delimiter", sure=True
    ),
)


def process(run: Run = RUN, frame: pd.DataFrame | None = None, **changes: Any) -> dict[str, Any]:
    fa.store(s3.put_bytes, run, table() if frame is None else frame, remote=True, **changes)
    stage.main(run)
    found: dict[str, Any] = strict(stored(run.summary_key))
    return found


def test_the_findings_are_a_flat_table_with_every_cell_of_the_file(world):
    frame = table().drop(columns=["price"]).assign(line=[f"L{n}" for n in range(300)], Score=1.5)
    summary = process(frame=frame)
    found = pq.read_table(io.BytesIO(stored(RUN.findings_key)))
    assert not any(pa.types.is_nested(field.type) for field in found.schema)
    names = [field.name for field in findings_table.fields()]
    assert found.column_names == [
        *names,
        *frame.columns.drop(["line", "Score"]),
        "line_in_table",
        "Score_in_table",
    ][: len(names)] + [
        {"line": "line_in_table", "Score": "Score_in_table"}.get(name, name)
        for name in frame.columns
    ]
    for rank, (row, entry) in enumerate(
        zip(found.to_pylist(), summary["anomalies"]["top"], strict=True), start=1
    ):
        assert (row["run_id"], row["rank"], row["line"], row["row"]) == (
            RUN.run_id,
            rank,
            entry["line"],
            entry["row"],
        )
        assert row["score"] == entry["score"]
        assert (row["neighbour_row"], row["neighbour_line"]) == (
            entry["neighbour"],
            entry["neighbour_line"],
        )
        first = entry["columns"][0]
        assert (row["because"], row["because_value"], row["because_neighbour_value"]) == (
            first["column"],
            first["value"],
            first["neighbour_value"],
        )
        assert row["because_all"].startswith(f"{first['column']} ")
        assert row["amount"] == frame["amount"][entry["row"]]
        assert row["line_in_table"] == f"L{entry['row']}"


def test_the_findings_of_all_runs_of_a_data_set_are_one_table(world, tmp_path):
    runs = [
        RUN,
        Run("20260201-sales-0123456789ab"),
        Run("20260201-other--0123456789ab-0123456789ab"),
    ]
    for run in runs:
        process(run)
        path = tmp_path / run.findings_key
        path.parent.mkdir(parents=True)
        path.write_bytes(stored(run.findings_key))
    folder = f"{tmp_path}/{contract.FINDINGS_PREFIX}**/*.parquet"
    found = (
        duckdb.connect()
        .execute(
            f"SELECT dataset_id, run_date, count(*), min(line) FROM read_parquet('{folder}', hive_partitioning = true) "  # noqa: S608
            "GROUP BY ALL ORDER BY ALL"
        )
        .fetchall()
    )
    assert [(dataset, str(date), rows) for dataset, date, rows, _ in found] == [
        ("other--0123456789ab", "20260201", 12),
        ("sales", "20260131", 12),
        ("sales", "20260201", 12),
    ]


def test_without_remote_rows_the_findings_have_columns_and_no_row(world):
    fa.store(s3.put_bytes, RUN, table())
    stage.main(RUN)
    found = pq.read_table(io.BytesIO(stored(RUN.findings_key)))
    assert found.num_rows == 0
    assert {"line", "score", "amount", "city"} <= set(found.column_names)


def test_athena_gets_the_columns_and_the_folders_of_both_tables(world):
    process()
    ddl = stored(RUN.ddl_key).decode()
    cleaned, findings = re.findall(
        r"CREATE EXTERNAL TABLE IF NOT EXISTS \w+ \(.*?\);", ddl, re.DOTALL
    )
    written = pq.read_schema(io.BytesIO(stored(RUN.findings_key)))
    for statement, names in ((cleaned, table().columns), (findings, written.names)):
        assert re.findall(
            r"^  `(.*)` (?:bigint|double|date|timestamp|boolean|string),?$", statement, re.MULTILINE
        ) == list(names)
    locations = dict(
        zip(
            ("cleaned", "findings"),
            re.findall(r"'storage.location.template' = '(.*)'", ddl),
            strict=True,
        )
    )
    values = {"run_date": RUN.date, "run_id": RUN.run_id}
    places = {
        name: re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], location)
        for name, location in locations.items()
    }
    assert f"s3://{fa.INTERMEDIATE}/{RUN.table_key}".startswith(places["cleaned"])
    assert f"s3://{fa.RESULTS}/{RUN.findings_key}".startswith(places["findings"])


def test_a_column_called_as_a_partition_is_no_partition(world):
    fa.store(s3.put_bytes, RUN, table().assign(Run_ID="x", pipeline_run_id="y"))
    stage.main(RUN)
    ddl = stored(RUN.ddl_key).decode()
    assert "PARTITIONED BY (`run_date` string, `pipeline_pipeline_run_id` string)" in ddl
    assert "/data/${run_date}/${pipeline_pipeline_run_id}/table/" in ddl
    assert "`Run_ID_in_table` string" in ddl


def test_athena_knows_every_type_that_a_column_may_have():
    documented = set(re.findall(r"`([^`]+)`", _doc_of(Column, "type")))
    assert documented == athena._TYPES.keys()


def _doc_of(record: type, field: str) -> str:
    """The docstring below a field."""
    import inspect

    found = re.search(rf"{field}: str\n    \"\"\"(.*?)\"\"\"", inspect.getsource(record), re.DOTALL)
    assert found is not None
    return found[1]


def test_what_was_decided_about_the_file_is_told_and_what_is_unsure_is_sent(world):
    summary = process(remarks=REMARKS)
    assert [remark["code"] for remark in summary["remarks"]] == ["decimal", "trailing-delimiter"]
    assert summary["source"]["dialect"] == fa.DIALECT
    text = json.dumps(world.messages[0], ensure_ascii=False)
    assert "How the file was read: please check" in text
    assert "`amount` 1,234 could be 1.234 or 1234." in text
    assert "every row ends" not in text
    page = stored(RUN.report_key).decode()
    for part in (
        "please check",
        "1,234 could be",
        "every row ends with a delimiter",
        "semicolon",
        "comma",
        "Rows are compared by it".lower(),
    ):
        assert part in page


def test_a_table_with_nothing_to_compare_is_a_run_like_any_other(world):
    words = pd.DataFrame({"name": ["ann", "bob"], "town": ["rome", "oslo"]})
    fa.store(s3.put_bytes, RUN, words)
    details = stage.main(RUN)
    assert (details["items"], details["latest"]) == (3, True)
    assert (
        strict(stored(RUN.summary_key))["nothing_to_compare"]
        == "the table has no column of numbers"
    )
    assert all_items()[RUN.state_key["sk"]]["state"] == "SUCCEEDED"
    text = json.dumps(world.messages[0])
    assert "*Nothing to compare*" in text
    assert "The table has no column of numbers." in text
    page = stored(RUN.report_key).decode()
    assert "No row was compared with another: the table has no column of numbers." in page


def test_preprocess_own_sentence_on_nothing_to_compare_is_told_once(world):
    said = "no column holds numbers that rows could be compared by: found 'town' (text)"
    remarks = (Remark(code="nothing-to-compare", column="", sentence=said, sure=False),)
    words = pd.DataFrame({"town": ["rome", "oslo"]})
    fa.store(s3.put_bytes, RUN, words, remarks=remarks)
    stage.main(RUN)
    assert strict(stored(RUN.summary_key))["nothing_to_compare"] == said
    text = json.dumps(world.messages[0])
    assert text.count("ound 'town' (text)") == 1
    assert "How the file was read" not in text


def test_numbers_that_are_only_described_say_why(world):
    frame = pd.DataFrame({"a": [1.0, 2.0, None], "b": [None, None, 3.0]})
    fa.store(s3.put_bytes, RUN, frame)
    manifest = json.loads(s3.get_bytes(fa.INTERMEDIATE, RUN.manifest_key))
    columns = tuple(
        Column(**{**column, "use": "describe", "reason": "many gaps"})
        for column in manifest["columns"]
    )
    fa.store(s3.put_bytes, RUN, frame, columns=columns)
    stage.main(RUN)
    said = strict(stored(RUN.summary_key))["nothing_to_compare"]
    assert said == "no column of numbers is fit to compare rows by (a: many gaps; b: many gaps)"


@pytest.mark.parametrize("show", [True, False])
def test_cells_stay_in_the_buckets_where_they_are_not_to_be_shown(world, monkeypatch, show):
    secret = "4711.0815"
    frame = table().drop(columns=["price", "tiny"]).assign(city="secret town")
    frame.loc[77, "amount"] = float(secret)
    monkeypatch.setenv(ENV_SHOW_VALUES, str(show).lower())
    process(
        frame=frame,
        remarks=(
            Remark(code="odd", column="city", sentence="the cell 'secret town' is odd", sure=False),
        ),
    )
    told = json.dumps(world.messages[0])
    items = json.dumps(
        [item for sk, item in all_items().items() if "METRIC" not in sk], default=str
    )
    for place in (told, items):
        assert ("4711" in place.replace(",", "") or "4,711" in place) is show
        assert "line" in place
    assert ("secret town" in told) is show
    assert "secret town" not in items if not show else True
    assert secret in stored(RUN.summary_key).decode()
    assert "secret town" in stored(RUN.report_key).decode()


def test_what_a_file_holds_cannot_steer_slack_or_the_page(world):
    wild = "<!channel> `x` <http://e|y>\x1b]0;t\x07\u202egpj\n*b*"
    frame = (
        table()
        .drop(columns=["price", "tiny"])
        .rename(columns={"amount": f"amount {wild}"})
        .assign(city=wild)
    )
    frame.loc[77, f"amount {wild}"] = 900.0
    process(frame=frame, remarks=(Remark(code="odd", column=wild, sentence=wild, sure=False),))
    (sent,) = world.messages
    texts = [sent["text"]]
    for block in sent["blocks"]:
        texts += [
            part["text"]
            for part in (block.get("text"), *block.get("fields", []), *block.get("elements", []))
            if part
        ]
    joined = "\n".join(texts)
    assert joined.replace("\n", "").isprintable()
    assert "<!channel" not in joined
    assert re.findall(r"<[^>]*>", joined) == [
        (
            "<https://console.example/results?prefix=runs/20260131-sales-0123456789ab/report.html|Open"
            " the report>"
        )
    ]
    page = stored(RUN.report_key).decode()
    assert not {"\x1b", "\x07", "\u202e"} & set(page)
    assert "<!channel" not in page


def test_the_name_that_people_gave_the_file_is_shown(world):
    run = Run("20260131-table--443fb9483be0-0123456789ab")
    source = {
        "bucket": "ingest",
        "key": "data/20260131/売上 2026.csv.gz",
        "bytes": 1,
        "dialect": {},
    }
    summary = process(run, source=source)
    assert (summary["dataset"], summary["name"]) == ("table--443fb9483be0", "売上 2026")
    assert all_items()["LATEST"]["name"] == "売上 2026"
    assert world.messages[0]["text"] == "売上 2026 2026-01-31: 300 rows analysed"
    assert "<h1>売上 2026" in stored(run.report_key).decode()


def test_every_kind_of_column_use_has_words_for_the_report():
    from workloads.postprocess.report import _USES
    from workloads.records import ColumnUse

    assert set(get_args(ColumnUse)) == _USES.keys()
