"""The estimate against arithmetic of its own, against what is deployed, and against past runs in a
bucket.
"""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from rich.console import Console

from cli import estimate as command
from cli.errors import CliError
from cli.estimate import of_file, parse_minutes, past_minutes
from cli.stack_files import read
from config.estimate import Estimate, estimate
from config.facts import ec2_facts
from tests.components.program import STACKS, config_of, deployed
from tests.config.stacks import changed, load, sections
from workloads.contract import Run, Stage
from workloads.records import StageRecord

ROOT = Path(__file__).parents[2]
PRICES = {
    name: Decimal(str(facts["usd_per_hour"]))
    for name, facts in json.loads((ROOT / "config" / "ec2_facts.json").read_text())["types"].items()
    if facts.get("usd_per_hour") is not None
}
US = "us-east-1"
NIGHT = 4 * 3 * PRICES["p5.48xlarge"]
"""Four p5.48xlarge for three hours."""


def of(stack: str, **more: Any) -> Estimate:
    arguments: dict[str, Any] = {"minutes": {}, "past": {}, "runs": 30, "stored_gb": 100, **more}
    file = read(stack)
    return of_file(file, file.load()[0], **arguments)


def test_four_p5_for_three_hours_a_night_to_the_cent() -> None:
    found = of("prod", minutes={"analysis": 180})
    analysis = {stage.stage: stage for stage in found.stages}["analysis"]
    assert analysis.machines == "4 x p5.48xlarge"
    assert f"{analysis.usd:.2f}" == f"{NIGHT:.2f}"
    others = [stage.usd or 0 for stage in found.stages if stage.stage != "analysis"]
    rest = found.rest_usd
    assert rest is not None
    assert found.month_usd is not None
    assert f"{found.month_usd - rest - 30 * sum(others):.2f}" == f"{30 * NIGHT:.2f}"
    # two attempts of six hours on four machines and the one by which AWS Batch may pass max_vcpus
    assert f"{analysis.worst_usd:.2f}" == f"{2 * 6 * 5 * PRICES['p5.48xlarge']:.2f}"
    # 768 / 192 machines, and one more
    assert {line.what: f"{line.usd:.2f}" for line in found.ceiling}[
        "environment gpu, 768 vCPUs"
    ] == f"{5 * PRICES['p5.48xlarge']:.2f}"


def test_shards_cost_their_number_at_the_price_of_one() -> None:
    one, four = (of_shards(shards) for shards in (1, 4))
    assert four.machines == f"4 x {one.machines}"
    assert one.usd is not None
    assert four.usd == pytest.approx(4 * one.usd)
    assert four.usd_per_hour == pytest.approx(4 * float(PRICES["g5.2xlarge"]))


def test_each_memory_that_a_stage_may_ask_for_is_one_more_round_at_worst() -> None:
    def preprocess(**changes: Any) -> Any:
        config = load(changed({f"jobs.preprocess.{name}": v for name, v in changes.items()}))[0]
        return estimate(config, region="us-east-1").stages[0]

    once, twice = preprocess(), preprocess(memory_growth_mib=[6144])
    assert twice.usd == once.usd, "what a run costs that needs no more"
    assert twice.worst_usd == pytest.approx(2 * once.worst_usd)


def of_shards(shards: int) -> Any:
    """The analysis of the example on Spot GPUs, half an hour a shard; one shard takes a whole
    g5.2xlarge.
    """
    found = load(sections("gpu-spot"))[0]
    jobs = found.jobs.model_copy(
        update={"analysis": found.jobs.analysis.model_copy(update={"shards": shards})}
    )
    stages = estimate(
        found.model_copy(update={"jobs": jobs}), region=US, minutes={"analysis": 30}
    ).stages
    return next(stage for stage in stages if stage.stage == "analysis")


def test_the_standing_part_to_the_cent() -> None:
    dev = {line.what: line.usd for line in of("dev").rest}
    assert dev["1 x NAT gateway, 730 h"] == pytest.approx(0.045 * 730)
    config, _ = load(changed({"network.nat": "none", "environments.on-demand-cpu.min_vcpus": 5}))
    rest = {line.what: line.usd for line in estimate(config, region=US).rest}
    assert rest["21 x interface endpoint in a zone, 730 h"] == pytest.approx(7 * 3 * 0.01 * 730)
    assert not any("NAT" in what for what in rest)
    # five vCPUs: two c6i.xlarge are cheaper than two m6i.xlarge and than one m6i.2xlarge
    assert rest["min_vcpus of environment on-demand-cpu, 730 h"] == pytest.approx(
        float(2 * PRICES["c6i.xlarge"] * 730)
    )


@pytest.mark.parametrize("stack", STACKS)
def test_what_stands_is_what_is_deployed(stack: str) -> None:
    made = deployed(stack)  # with a webhook
    words = [line.what.split() for line in estimate(config_of(stack), region=US).rest]
    counted = {
        " ".join(rest[1:]).split(",")[0]: int(number) for number, *rest in words if rest[0] == "x"
    }

    def number(token: str) -> int:
        return sum(r.type == token for r in made.resources)

    interface = [
        r
        for r in made.resources
        if r.type == "aws:ec2/vpcEndpoint:VpcEndpoint"
        and r.inputs["vpcEndpointType"] == "Interface"
    ]
    expected = {
        "NAT gateway": number("aws:ec2/natGateway:NatGateway"),
        "public IPv4 address of NAT": number("aws:ec2/eip:Eip"),
        "interface endpoint in a zone": sum(len(r.inputs["subnetIds"]) for r in interface),
        "secret": number("aws:secretsmanager/secret:Secret"),
        "KMS key": number("aws:kms/key:Key"),
        "alarm": number("aws:cloudwatch/metricAlarm:MetricAlarm"),
        "composite alarm": number("aws:cloudwatch/compositeAlarm:CompositeAlarm"),
    }
    assert counted == {what: count for what, count in expected.items() if count}
    assert len(counted) >= 5


def test_an_unknown_price_is_said_and_spoils_every_sum() -> None:
    config, _ = load(changed({"environments.gpu.instance_type": "p5e.48xlarge"}))
    found = estimate(config, region=US)
    assert {stage.stage: stage.usd is None for stage in found.stages} == {
        "preprocess": False,
        "analysis": True,
        "postprocess": False,
    }
    assert (found.run_usd, found.month_usd, found.worst_month_usd, found.ceiling_usd_per_hour) == (
        None,
        None,
        None,
        None,
    )
    assert found.rest_usd is not None
    assert found.unpriced == ("p5e.48xlarge",)
    elsewhere = estimate(load(changed({}))[0], region="eu-central-1")
    assert {elsewhere.rest_usd, elsewhere.run_usd, elsewhere.ceiling_usd_per_hour} == {None}


def test_minutes_are_those_given_then_those_of_past_runs_then_the_timeout() -> None:
    found = of("prod", minutes={"analysis": 180}, past={"analysis": 60, "preprocess": 4.5})
    assert [(s.stage, s.minutes, s.source) for s in found.stages] == [
        ("preprocess", 4.5, "past runs"),
        ("analysis", 180, "given"),
        ("postprocess", 30, "timeout"),
    ]


@pytest.mark.parametrize(
    "text", ["analysis", "analysis=x", "analyse=3", "analysis=-1", "analysis=inf", "analysis=nan"]
)
def test_wrong_minutes_are_refused(text: str) -> None:
    with pytest.raises(
        CliError, match="write stage=minutes, with the stages preprocess, analysis, postprocess"
    ):
        parse_minutes(text)
    assert parse_minutes(" preprocess=10, analysis=1.5") == {"preprocess": 10, "analysis": 1.5}


def test_past_runs_give_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("s3", region_name=US)
        client.create_bucket(Bucket="results")
        with pytest.raises(CliError, match="bucket results holds no finished run"):
            past_minutes("results", US, "")
        seconds: dict[Stage, list[float]] = {"preprocess": [60, 120, 600], "analysis": [3600, 7200]}
        for stage, all_seconds in seconds.items():
            for day, took in enumerate(all_seconds, 1):
                run = Run(f"2026010{day}-sales-0123456789ab")
                record = StageRecord(
                    stage=stage,
                    run_id=run.run_id,
                    started_at="",
                    seconds=took,
                    attempt=1,
                    job_id="j",
                    details={},
                )
                client.put_object(
                    Bucket="results", Key=run.stage_record_key(stage), Body=record.to_json()
                )
        assert past_minutes("results", US, "") == {"preprocess": 2, "analysis": 90}
        with pytest.raises(CliError, match="past runs cannot be read from bucket nowhere"):
            past_minutes("nowhere", US, "")


def shown(width: int, stack: str, minutes: str) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    command.show(
        console,
        console,
        stack,
        minutes=minutes,
        runs=30,
        stored_gb=100,
        results_bucket="",
        endpoint_url="",
        as_json=False,
    )
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_fits_and_names_its_sources(width: int) -> None:
    text = shown(width, "prod", "analysis=180")
    assert max(map(len, text.splitlines())) <= width
    for part in (
        "4 x p5.48xlarge",
        f"{NIGHT:.2f}",
        "25,000.00",
        ec2_facts().prices.date,
        "timeout of one attempt",
        "copied in public",
    ):
        assert part in text, part


def test_json_says_what_the_screen_says(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO())
    command.show(
        console,
        console,
        "prod",
        minutes="analysis=180",
        runs=30,
        stored_gb=100,
        results_bucket="",
        endpoint_url="",
        as_json=True,
    )
    found = json.loads(capsys.readouterr().out)
    assert found["prices"]["machines"]["date"] == ec2_facts().prices.date
    assert found["run"]["stages"][1]["usd"] == float(NIGHT)
    assert f"{found['month']['usd']:,.2f}" in shown(120, "prod", "analysis=180")
