"""The whole stage on a small table against pandas: findings, table items, report, message, and what
happens when it is run again.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import (
    HOSTILE,
    RUN,
    all_items,
    process,
    result_keys,
    stored,
    strict,
    table,
)
from workloads.contract import ContractError, Run
from workloads.postprocess import stage
from workloads.runtime import s3
from workloads.runtime.errors import StageError
from workloads.runtime.prices import prices
from workloads.variables import ENV_STAGE_PRICES


def test_findings_agree_with_pandas(world):
    frame = table()
    process(RUN, frame)
    summary = strict(stored(RUN.summary_key))
    values = frame.select_dtypes("number").astype(np.float64).astype(np.float64)
    by_name = {column["name"]: column for column in summary["columns"]}
    assert list(by_name) == list(frame.columns)
    assert len(values.columns) == 7
    for name in values:
        column, series = by_name[name], values[name]
        assert column["kind"] == "number"
        assert (column["count"], column["missing"]) == (series.count(), series.isna().sum())
        assert (column["minimum"], column["maximum"]) == (series.min(), series.max())
        assert column["mean"] == pytest.approx(series.mean(), rel=1e-12)
        assert column["sd"] == pytest.approx(series.std(), rel=1e-9, abs=1e-300)
        for probability, quantile in column["quantiles"].items():
            assert (
                abs(quantile["value"] - series.quantile(float(probability)))
                <= quantile["bound"] * (1 + 1e-9) + 1e-300
            ), (
                name,
                probability,
            )
    assert by_name["flag"]["quantiles"]["0.01"]["value"] == 0
    assert by_name["constant"]["constant"] is True
    assert by_name["constant"]["skewness"] is None
    assert by_name["city"]["kind"] == "text"
    assert "mean" not in by_name["city"]
    matrix = np.array(summary["correlation"]["matrix"], float)
    expected = values.dropna().drop(columns="constant").corr()
    kept = [summary["correlation"]["columns"].index(name) for name in expected]
    np.testing.assert_allclose(matrix[np.ix_(kept, kept)], expected, atol=1e-6)
    pair = summary["correlation"]["strongest"][0]
    assert {pair["a"], pair["b"]} == {"amount", "amount_eur"}
    assert summary["table"] == {
        "rows_read": 315,
        "rows": 300,
        "rejected_rows": 15,
        "rejected": {"too few fields": 12, "too many <fields>": 3},
        "columns": 8,
        "number_columns": 7,
        "missing_cells": 100,
        "complete_rows": 200,
        "infinite_cells": 0,
    }


def test_exact_quantiles_are_shown_with_bound_zero(world):
    frame = table()
    assert "off by at most 1/64" in (process(RUN, frame), stored(RUN.report_key).decode())[1]
    fa.store(s3.put_bytes, RUN, frame, exact=True, remote=True)
    details = stage.main(RUN)
    assert details["digest"] == strict(stored(RUN.success_key))["digest"]
    by_name = {column["name"]: column for column in strict(stored(RUN.summary_key))["columns"]}
    values = frame.select_dtypes("number").astype(np.float64).astype(np.float64)
    for name, series in values.items():
        for probability, quantile in by_name[name]["quantiles"].items():
            assert quantile == {
                "value": pytest.approx(series.quantile(float(probability)), rel=1e-13),
                "bound": 0.0,
            }, (name, probability)
    assert "Quantiles are exact." in stored(RUN.report_key).decode()


def test_cost_is_measured_time_by_price(world):
    process(RUN, table())
    run = strict(stored(RUN.summary_key))["run"]
    seconds = {entry["stage"]: entry["seconds"] for entry in run["stages"]}
    assert (seconds["preprocess"], seconds["analysis"]) == (36.0, 72.0)
    assert run["usd"] == pytest.approx(
        36 / 3600 * 0.1 + 72 / 3600 * 100 + seconds["postprocess"] / 3600 * 0.1
    )


def test_an_unknown_price_or_record_makes_the_cost_unknown_and_says_so(world, monkeypatch):
    monkeypatch.setenv(ENV_STAGE_PRICES, '{"preprocess": 0.1, "postprocess": 0.1}')
    fa.store(s3.put_bytes, RUN, table())
    s3.client().delete_object(Bucket=fa.RESULTS, Key=RUN.stage_record_key("preprocess"))
    stage.main(RUN)
    run = strict(stored(RUN.summary_key))["run"]
    assert run["usd"] is None
    assert "preprocess, analysis" in run["cost_note"]
    assert run["elapsed_seconds"] is None
    assert "not known" in json.dumps(world.messages[0])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"analysis": "cheap"}',
        '{"analysis": -1}',
        '{"analysis": NaN}',
        '{"analysis": true}',
    ],
)
def test_wrong_prices_are_one_sentence(text):
    with pytest.raises(StageError, match="PIPELINE_STAGE_PRICES"):
        prices({ENV_STAGE_PRICES: text})


def test_items_state_latest_and_message(world):
    details = process(RUN, table())
    assert details == {
        "items": 9,
        "latest": True,
        "page": "written",
        "slack": "delivered",
        "digest": details["digest"],
        "usd": details["usd"],
    }
    found = all_items()
    assert len(found) == 8 + 1 + 1 + 1
    metric = found[RUN.metric_key("amount")["sk"]]
    assert isinstance(metric["mean"], Decimal)
    assert float(metric["mean"]) == strict(stored(RUN.summary_key))["columns"][0]["mean"]
    assert found[RUN.metric_key("constant")["sk"]]["skewness"] is None
    assert 0 < abs(found[RUN.metric_key("tiny")["sk"]]["minimum"]) < Decimal("1e-38")
    assert found["LATEST"]["run_id"] == RUN.run_id
    assert found[RUN.state_key["sk"]]["state"] == "SUCCEEDED"
    assert found[RUN.summary_item_key["sk"]]["table"]["rows"] == 300
    assert len(world.messages) == 1
    text = json.dumps(world.messages[0], ensure_ascii=False)
    for part in (
        "sales 2026-01-31: 300 rows analysed",
        "15 (4.76 %)",
        "100 (4.17 %)",
        "amount_eur",
        "There is no earlier day",
    ):
        assert part in text
    assert (
        "https://console.example/results?prefix=runs/20260131-sales-0123456789ab/report.html"
        in text
    )


def test_remote_rows_are_told_everywhere(world):
    frame = table().drop(columns=["price", "tiny"])
    frame.loc[77, "amount"] = (
        900.0  # its product with the exchange rate stays as it was, so that one column is to blame
    )
    fa.store(s3.put_bytes, RUN, frame, remote=True)
    details = stage.main(RUN)
    summary = strict(stored(RUN.summary_key))
    found = summary["anomalies"]
    success = strict(stored(RUN.success_key))
    assert (
        summary["digest"]
        == details["digest"]
        == success["digest"]
        == all_items()["LATEST"]["digest"]
    )
    assert (
        found["mode"],
        found["neighbours"],
        found["complete_rows"],
        found["incomplete_rows"],
    ) == ("top", 3, 300, 0)
    assert list(found["excluded"]) == ["constant"]
    assert found["excluded"]["constant"].startswith("constant")
    assert len(found["top"]) == 12
    first = found["top"][0]
    assert first["row"] == 77
    assert (first["columns"][0]["column"], first["columns"][0]["value"]) == ("amount", 900.0)
    assert first["columns"][0]["share"] > 0.9
    assert first["columns"][0]["neighbour_value"] == np.float64(frame["amount"][first["neighbour"]])
    item = all_items()[RUN.summary_item_key["sk"]]["anomalies"]
    assert [int(entry["row"]) for entry in item["top"]] == [
        entry["row"] for entry in found["top"][:10]
    ]
    assert {int(entry["line"]) - fa.line_of(int(entry["row"])) for entry in item["top"]} == {0}
    for entry in found["top"]:
        here = frame.iloc[entry["row"]]
        assert entry["line"] == fa.line_of(entry["row"])
        assert entry["neighbour_line"] == fa.line_of(entry["neighbour"])
        assert entry["values"] == {
            name: None if pd.isna(value) else value for name, value in here.items()
        }
        assert entry["identifiers"] == {"city": here["city"]}
    text = json.dumps(world.messages[0], ensure_ascii=False)
    assert (
        "*Most remote rows* of 300 by Euclidean distance (exact; 100 % certified by bounds)" in text
    )
    assert "• line 86, row 77, distance " in text
    assert "`amount` 900 beside " in text
    assert f"city `{frame['city'][77]}`" in text
    page = stored(RUN.report_key).decode()
    assert "Most remote rows" in page
    assert "row numbers" not in page
    assert re.search(r'<th scope="row" class="n">86<small>row 77</small></th>', page)
    assert HOSTILE not in page
    assert stage.main(RUN)["digest"] == details["digest"]


def test_the_run_record_is_told(world):
    fa.store(s3.put_bytes, RUN, table(), remote=True)
    stage.main(RUN)
    text = json.dumps(world.messages[0], ensure_ascii=False)
    line = (
        "Analysis: 2.5 s on 4 ranks, pairs at 62 % of the measured limit, "
        "210 MiB memory per rank, 1.5 GiB on the GPU, 20 ms for checkpoints"
    )
    assert line in text
    page = stored(RUN.report_key).decode()
    for part in (
        "210 MiB per rank at most, 1.5 GiB on its GPU",
        "comparing rows with the whole table",
        "62 %",
        "1.2 s",
        "50 %",
        "4.8 KiB",
    ):
        assert part in page


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("mahalanobis", "Correlations between the columns are taken out"),
        ("cosine", "2 rows stand at the centre"),
    ],
)
def test_the_metric_is_named(world, metric, said):
    half = np.random.default_rng(0).standard_normal((149, 3))
    rows = np.concatenate(
        (half, -half, np.zeros((2, 3)))
    )  # every value has its opposite, so that the centre is 0
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    fa.store(s3.put_bytes, RUN, frame, remote=True, metric=metric)
    stage.main(RUN)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows.astype(np.float64).T))[::-1]
    axes = strict(stored(RUN.summary_key))["correlation"]["axes"]
    np.testing.assert_allclose(axes["explained"], eigenvalues / 3, rtol=1e-9)
    assert (axes["columns"], axes["for_most"], axes["condition"]) == (
        3,
        3,
        pytest.approx(eigenvalues[0] / eigenvalues[2]),
    )
    name = f"{metric.capitalize()} distance" if metric == "mahalanobis" else "cosine distance"
    assert strict(stored(RUN.summary_key))["anomalies"]["metric"] == metric
    assert f"by {name} (exact" in json.dumps(world.messages[0])
    page = stored(RUN.report_key).decode()
    assert f"Score: {name} to the 3rd nearest" in page
    assert said in page
    assert "3 of 3 principal axes hold 90 % of the variance" in page


def test_remote_rows_of_another_analysis_are_refused(world):
    fa.store(s3.put_bytes, RUN, table(), remote=True)
    success = json.loads(stored(RUN.success_key))
    other = Run("20260130-sales-aaaaaaaaaaaa")
    fa.store(s3.put_bytes, other, table(seed=2), remote=True)
    top = stored(
        other.partials_prefix + json.loads(stored(other.success_key))["anomaly"]["top"]["name"]
    )
    s3.put_bytes(fa.RESULTS, RUN.partials_prefix + success["anomaly"]["top"]["name"], top)
    with pytest.raises(
        ContractError,
        match=r"anomaly/top-[0-9a-f]{16}.npz is not the object that the analysis wrote",
    ):
        stage.main(RUN)
    success["anomaly"]["top"]["sha256"] = hashlib.sha256(top).hexdigest()
    s3.put_bytes(fa.RESULTS, RUN.success_key, json.dumps(success).encode())
    with pytest.raises(ContractError, match=f"the anomalies of {RUN.run_id} have digest"):
        stage.main(RUN)
    assert RUN.summary_key not in result_keys()


def test_running_twice_gives_the_same_objects_and_items(world):
    process(RUN, table())
    keys, before, summary = result_keys(), all_items(), strict(stored(RUN.summary_key))
    stage.main(RUN)
    assert result_keys() == keys
    after, again = all_items(), strict(stored(RUN.summary_key))
    assert after.keys() == before.keys()
    own = RUN.summary_item_key["sk"], RUN.state_key["sk"]
    assert {k: v for k, v in after.items() if k not in own} == {
        k: v for k, v in before.items() if k not in own
    }
    for found in (summary, again):  # the stage's own time is measured anew
        found.pop("run")
    assert again == summary


@pytest.mark.parametrize("damage", ["digest", "partial", "manifest", "no success"])
def test_results_that_do_not_belong_together_are_refused_and_nothing_is_written(
    world, damage, monkeypatch
):
    fa.store(s3.put_bytes, RUN, table())
    success = json.loads(stored(RUN.success_key))
    if damage == "digest":
        success["digest"] = "0" * 64
    elif damage == "manifest":
        success["manifest_sha256"] = "0" * 64
    s3.put_bytes(fa.RESULTS, RUN.success_key, json.dumps(success).encode())
    if damage == "partial":
        key = RUN.partials_prefix + success["partials"][3]["name"]
        s3.put_bytes(fa.RESULTS, key, stored(RUN.partials_prefix + success["partials"][2]["name"]))
    elif damage == "no success":
        s3.client().delete_object(Bucket=fa.RESULTS, Key=RUN.success_key)
    before = result_keys()
    with pytest.raises((ContractError, StageError)) as caught:
        stage.main(RUN)
    assert "\n" not in str(caught.value)
    assert RUN.run_id in str(caught.value)
    assert result_keys() == before
    assert all_items() == {}
    assert world.attempts == 0
