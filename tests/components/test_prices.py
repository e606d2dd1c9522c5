"""What the machines of a stage cost in an hour."""

from __future__ import annotations

import pytest

from components.prices import job_prices
from config.facts import ec2_facts
from config.prices import ceiling_usd_per_hour, dearest_rates, stage_machines
from tests.components.program import config_of

US = "us-east-1"


def test_prices_of_prod() -> None:
    types = ec2_facts().types
    prices = job_prices(config_of("prod"), US)
    assert prices.keys() == {"preprocess", "analysis", "postprocess"}
    assert prices["analysis"] == pytest.approx(4 * (types["p5.48xlarge"].usd_per_hour or 0))
    # 2 of 8 vCPUs, but 4096 of 15368 usable MiB; a hair less than its share of the c6i.xlarge
    share = 4096 / types["c6i.2xlarge"].usable_memory_mib
    assert prices["preprocess"] == pytest.approx(
        share * (types["c6i.2xlarge"].usd_per_hour or 0), abs=1e-6
    )


def test_price_on_fargate_follows_vcpus_and_memory() -> None:
    fargate = ec2_facts().fargate
    prices = job_prices(config_of("dev"), US)
    assert prices["preprocess"] == pytest.approx(
        2 * fargate.usd_per_vcpu_hour + 4 * fargate.usd_per_gib_hour
    )
    assert prices["analysis"] == pytest.approx(
        2 * (ec2_facts().types["g5.8xlarge"].usd_per_hour or 0)
    )


def test_a_volume_for_scratch_is_paid_with_its_instance() -> None:
    disk = {"kind": "gp3", "size_gib": 730, "iops": 4000, "throughput_mibps": 525}
    hour = (730 * 0.08 + 1000 * 0.005 + 400 * 0.04) / 730
    plain = job_prices(config_of("dev"), US)["analysis"]
    config = config_of("dev", {"environments": {"gpu": {"scratch": disk}}})
    # two nodes, each with a volume
    assert job_prices(config, US)["analysis"] == pytest.approx(plain + 2 * hour)
    assert stage_machines(config, "analysis").what == "2 x g5.8xlarge with 730 GiB of gp3"
    gpu = config.environments["gpu"]
    assert ceiling_usd_per_hour(gpu) == pytest.approx(
        (ceiling_usd_per_hour(config_of("dev").environments["gpu"]) or 0)
        + (gpu.max_vcpus // 32 + 1) * hour
    )
    assert (dearest_rates(gpu) or {})["instance"] == pytest.approx(plain / 2 + hour, abs=1e-6)
    alone = {"jobs": {"analysis": {"nodes": 1, "vcpus": 16, "memory_mib": 16_384}}}
    one = config_of("dev", {**alone, "environments": {"gpu": {"scratch": disk}}})
    assert job_prices(one, US)["analysis"] == pytest.approx(plain / 2 + hour), "a whole GPU"


def test_single_node_pays_for_its_share_of_an_instance_that_fits() -> None:
    changes = {"jobs": {"analysis": {"nodes": 1, "vcpus": 16, "memory_mib": 16384}}}
    prices = job_prices(config_of("dev", changes), US)
    assert prices["analysis"] == pytest.approx(ec2_facts().types["g5.8xlarge"].usd_per_hour or 0), (
        "its one GPU is all of the instance's"
    )


def test_unknown_prices_are_left_out() -> None:
    changes = {"environments": {"gpu": {"instance_type": "p5e.48xlarge"}}}
    assert job_prices(config_of("prod", changes), US).keys() == {"preprocess", "postprocess"}
    assert job_prices(config_of("prod"), "eu-central-1") == {}, (
        "the list has the prices of one region"
    )
