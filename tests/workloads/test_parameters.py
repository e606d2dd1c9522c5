"""What the analysis is asked for, from the config to what is stored."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.jobs import AnalysisJob
from workloads.contract import ContractError
from workloads.parameters import AnalysisParameters
from workloads.reading import record
from workloads.variables import ENV_ANOMALY_NEIGHBOURS, ENV_EXACT_QUANTILES

NAMES = tuple(AnalysisParameters.allowed())
LEAST: dict[str, Any] = {
    "queue": "main",
    "nodes": 1,
    "vcpus": 1,
    "memory_mib": 2048,
    "timeout_minutes": 5,
}


def values_of(name: str) -> st.SearchStrategy[Any]:
    allowed = AnalysisParameters.allowed()[name]
    words = st.sampled_from(list(allowed.words.values())) if allowed.words else st.nothing()
    return words | (st.integers(*allowed.whole) if allowed.whole else st.nothing())


ANY = st.builds(AnalysisParameters, **{name: values_of(name) for name in NAMES})


@given(ANY)
def test_a_job_reads_what_a_component_writes_and_a_reader_what_a_record_says(parameters):
    assert AnalysisParameters.from_env(parameters.to_env()) == parameters
    assert all(name.startswith("PIPELINE_") for name in parameters.to_env())
    stored = json.dumps(asdict(parameters)).encode()
    assert record(AnalysisParameters, stored, what="it", again="") == parameters


@given(ANY)
def test_the_config_takes_the_same(parameters):
    job = AnalysisJob.model_validate(LEAST | asdict(parameters), strict=True)
    assert AnalysisParameters.of(job) == parameters


@pytest.mark.parametrize("name", NAMES)
def test_the_config_refuses_the_same(name):
    allowed = AnalysisParameters.allowed()[name]
    low, high = allowed.whole or (0, 0)
    wrong: list[Any] = ["many", "", "AUTO", low - 1, high + 1, 1.5, None]
    for value in wrong:
        with pytest.raises(ValidationError) as told:
            AnalysisJob.model_validate(LEAST | {name: value}, strict=True)
        assert [error["loc"] for error in told.value.errors()] == [(name,)]
    for text in ("many", "AUTO", str(low - 1), str(high + 1), "1.5", "None", "1e2", "²", "0x10"):
        if text in allowed.words:
            continue
        with pytest.raises(ContractError, match=f"variable {allowed.variable} is '.*'; expected "):
            AnalysisParameters.from_env({allowed.variable: text})


def test_defaults_are_those_of_the_config_but_for_the_mode():
    of_config = AnalysisParameters.of(AnalysisJob.model_validate(LEAST))
    by_hand = AnalysisParameters.from_env({})
    assert by_hand == AnalysisParameters.from_env(dict.fromkeys(by_hand.to_env(), " "))
    assert (by_hand.anomaly_mode, of_config.anomaly_mode) == ("off", "top")
    assert replace(by_hand, anomaly_mode="top") == of_config
    assert of_config.anomaly_neighbours == "auto"


def test_a_wrong_variable_is_told_with_what_is_allowed():
    with pytest.raises(ContractError) as told:
        AnalysisParameters.from_env({ENV_ANOMALY_NEIGHBOURS: "257"})
    assert (
        str(told.value)
        == "environment variable PIPELINE_ANOMALY_NEIGHBOURS is '257'; expected 'auto' or a whole"
        " number from 1 to 256"
    )
    with pytest.raises(ContractError, match=r"is 'maybe'; expected 'true' or 'false'$"):
        AnalysisParameters.from_env({ENV_EXACT_QUANTILES: "maybe"})
    flags = {"yes": True, "1": True, "true": True, "no": False, "0": False, "false": False}
    for text, value in flags.items():
        found = AnalysisParameters.from_env({ENV_EXACT_QUANTILES: text})
        assert found.exact_quantiles is value


@pytest.mark.parametrize(
    ("rows", "k"),
    [
        *((0, 10), (1, 10), (99, 10), (120, 10), (121, 11), (23_007, 151)),
        *((39_999, 199), (40_000, 200), (40_401, 200), (10**12, 200)),
    ],
)
def test_auto_is_the_root_of_the_rows_within_bounds(rows, k):
    assert AnalysisParameters().neighbours(rows) == k
    assert AnalysisParameters(anomaly_neighbours=7).neighbours(rows) == 7


@given(st.integers(0, 10**13))
def test_auto_never_falls_when_the_table_grows(rows):
    auto = AnalysisParameters()
    k = auto.neighbours(rows)
    assert 10 <= k <= 200
    assert k <= auto.neighbours(rows + 1) <= k + 1
    if 10 < k < 200:
        assert math.isqrt(rows) == k


def test_auto_and_the_number_that_it_comes_to_are_the_same_work():
    auto = AnalysisParameters(anomaly_mode="top")
    assert auto.identity(2_500) == replace(auto, anomaly_neighbours=50).identity(2_500)
    assert auto.identity(2_500)["neighbours"] == 50
    for one in fields(AnalysisParameters):
        allowed = auto.allowed()[one.name]
        choices = [*allowed.words.values(), *(allowed.whole or ())]
        others = [
            replace(auto, **{one.name: value})
            for value in choices
            if value not in (getattr(auto, one.name), "auto")
        ]
        assert others
        for other in others:
            assert other.identity(2_500) != auto.identity(2_500), "another value is other work"
