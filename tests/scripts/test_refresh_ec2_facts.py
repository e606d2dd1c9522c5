"""The refresh against answers in the form of AWS: botocore checks every call and answer against the
API's model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto.ec2.models.instance_types import INSTANCE_TYPES

from config.facts import Ec2Facts, ec2_facts
from config.prices import ServicePrices, service_prices
from scripts import refresh_ec2_facts as script

TODAY = "2026-11-22"
KEYS = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
SERVICES = json.loads(script.SERVICES.read_text())
OLD: dict[str, Any] = {
    "source": "old",
    "prices": {"region": "us-east-1", "date": "2020-01-01", "unit": "", "source": "old"},
    "fargate": {"usd_per_vcpu_hour": 1, "usd_per_gib_hour": 1, "price_confirmed": False},
    "types": {
        "c6i.xlarge": {
            "vcpus": 99,
            "memory_mib": 1,
            "architecture": "x86_64",
            "usd_per_hour": 9,
            "price_confirmed": False,
        },
        "old1.large": {"vcpus": 2, "memory_mib": 4096, "architecture": "x86_64", "usd_per_hour": 9},
    },
}


def product(usd: str, *, unit: str = "Hrs", begin: str = "0", usage: str = "") -> str:
    dimension = {"unit": unit, "beginRange": begin, "endRange": "Inf", "pricePerUnit": {"USD": usd}}
    terms = {"OnDemand": {"T": {"priceDimensions": {"T.D": dimension}}}}
    return json.dumps({"product": {"attributes": {"usagetype": usage}}, "terms": terms})


class Aws:
    """A stubbed client of each service; answers are queued in the order of the calls."""

    def __init__(self, ec2: Stubber, pricing: Stubber) -> None:
        self.ec2, self.pricing = ec2, pricing

    def types(self, *names: str) -> None:
        self.ec2.add_response(
            "describe_instance_types", {"InstanceTypes": [INSTANCE_TYPES[name] for name in names]}
        )

    def prices(self, *products: str) -> None:
        self.pricing.add_response(
            "get_products", {"FormatVersion": "aws_v1", "PriceList": list(products)}
        )

    def fargate(self) -> None:
        arm = product("0.01", usage="EU-Fargate-ARM-vCPU-Hours:perCPU")
        self.prices(product("0.04", unit="hours", usage="EU-Fargate-vCPU-Hours:perCPU"), arm)
        self.prices(product("0.0044", unit="hours", usage="EU-Fargate-GB-Hours"))

    def services(self) -> None:
        for number, (_, usage) in enumerate(script._USAGE.values(), 1):
            tiers = [
                product("0.5", unit="GB-Mo", begin="51200", usage=f"EU-{usage}"),
                product("0.0", usage=f"EU-{usage}"),
            ]
            self.prices(
                product(f"{number}.25", unit="GB-Mo", usage=f"EU-{usage}"),
                *tiers,
                product("7", usage=f"EU-Early{usage}"),
            )


@contextmanager
def aws() -> Iterator[tuple[Aws, Any, Any]]:
    clients: list[Any] = [boto3.client("ec2", **KEYS), boto3.client("pricing", **KEYS)]  # type: ignore[call-overload]
    with Stubber(clients[0]) as ec2, Stubber(clients[1]) as pricing:
        yield Aws(ec2, pricing), *clients
        ec2.assert_no_pending_responses()
        pricing.assert_no_pending_responses()


def refreshed(answers: Aws, ec2: Any, pricing: Any, **how: Any) -> dict[str, Any]:
    return script.refreshed_facts(
        OLD, ec2, pricing, **{"region": "eu-west-1", "add": [], "today": TODAY, **how}
    )


def test_sizes_and_prices_are_those_of_aws() -> None:
    with aws() as (answers, ec2, pricing):
        answers.types("c6i.xlarge", "p5.48xlarge")
        answers.prices(
            product("0.19"), product("0.19"), product("0.0"), product("3", unit="Quantity")
        )
        answers.prices()
        answers.fargate()
        found = refreshed(answers, ec2, pricing, add=["p5.48xlarge"])
    facts = Ec2Facts.model_validate(found)
    assert (facts.prices.region, facts.prices.date, facts.prices.source) == (
        "eu-west-1",
        TODAY,
        "AWS Price List API, GetProducts",
    )
    assert (
        facts.fargate.usd_per_vcpu_hour,
        facts.fargate.usd_per_gib_hour,
        facts.fargate.price_confirmed,
    ) == (0.04, 0.0044, True)
    small = facts.types["c6i.xlarge"]
    assert (small.vcpus, small.usd_per_hour, small.price_confirmed) == (4, 0.19, True)
    assert (facts.types["p5.48xlarge"].gpus, facts.types["p5.48xlarge"].usd_per_hour) == (
        8,
        None,
    ), "eu-west-1 names no price"
    gone = facts.types["old1.large"]
    assert (gone.vcpus, gone.usd_per_hour) == (
        2,
        None,
    ), "what the region does not sell keeps its sizes and loses its price"


def test_the_file_of_the_repository_is_what_the_script_makes_of_the_dump() -> None:
    own = json.loads(script.FACTS.read_text())["types"]
    compared = 0
    for name in own.keys() & INSTANCE_TYPES.keys():
        kept = {
            key: value
            for key, value in own[name].items()
            if key not in {"usd_per_hour", "price_confirmed"}
        }
        made = script.facts_of(INSTANCE_TYPES[name])
        defaults = {
            key: field.default for key, field in type(ec2_facts().types[name]).model_fields.items()
        }
        assert {**defaults, **kept} == {**defaults, **made}, name
        compared += 1
    assert compared > 150


def test_prices_of_services_are_the_first_tier_of_their_own_usage_type() -> None:
    with aws() as (answers, _, pricing):
        answers.services()
        found = script.refreshed_services(SERVICES, pricing, region="eu-west-1", today=TODAY)
    prices = ServicePrices.model_validate(found)
    asked = [price.usd for price in prices.prices.values()]
    assert asked == [n + 0.25 for n in range(1, len(script._USAGE) + 1)]
    unasked = service_prices().prices.keys() - prices.prices.keys()
    # the price list has throughput of volumes by the GiB/s, and Lustre's rates by attributes
    assert unasked == {"gp3-mibps-month"} | {
        name for name in service_prices().prices if name.startswith("lustre-")
    }


def test_prices_that_are_not_asked_for_stay_those_of_their_region() -> None:
    with aws() as (answers, _, pricing):
        answers.services()
        found = script.refreshed_services(SERVICES, pricing, region="us-east-1", today=TODAY)
    prices = ServicePrices.model_validate(found).prices
    assert prices.keys() == service_prices().prices.keys()
    kept = prices["lustre-125-gib-month"]
    assert (kept.usd, kept.confirmed) == (
        service_prices().prices["lustre-125-gib-month"].usd,
        False,
    )


def test_what_is_not_clear_is_refused() -> None:
    with aws() as (answers, ec2, pricing):
        answers.types("c6i.xlarge")
        answers.prices(product("0.19"), product("0.20"))
        with pytest.raises(
            script.RefreshError,
            match=r"several prices for an hour of c6i\.xlarge: 0\.19, 0\.2; nothing was written",
        ):
            refreshed(answers, ec2, pricing)
        answers.types("c6i.xlarge")
        with pytest.raises(
            script.RefreshError, match=r"eu-west-1 sells no z9\.huge; nothing was written"
        ):
            refreshed(answers, ec2, pricing, add=["z9.huge"])
        answers.prices(product("1", usage="EU-Other-Hours"))
        with pytest.raises(
            script.RefreshError, match="no price of NatGateway-Hours of AmazonEC2 in eu-west-1"
        ):
            script.refreshed_services(SERVICES, pricing, region="eu-west-1", today=TODAY)


@pytest.mark.parametrize("path", [script.FACTS, script.SERVICES], ids=lambda path: path.name)
def test_writing_keeps_the_form_of_the_files(path: Path) -> None:
    text = path.read_text()
    assert script.as_text(json.loads(text)) == text


def test_the_command_writes_both_files_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, services = tmp_path / "facts.json", tmp_path / "services.json"
    facts.write_text(script.as_text(OLD))
    services.write_text(script.as_text(SERVICES))
    monkeypatch.setattr(script, "FACTS", facts)
    monkeypatch.setattr(script, "SERVICES", services)
    with aws() as (answers, ec2, pricing):

        class Session:
            def client(self, service: str, region_name: str) -> Any:
                assert region_name == ("us-east-1" if service == "pricing" else "eu-west-1")
                return {"ec2": ec2, "pricing": pricing}[service]

        monkeypatch.setattr(boto3, "Session", Session)
        answers.types("c6i.xlarge")
        answers.prices(product("0.19"))
        answers.fargate()
        answers.pricing.add_client_error("get_products", "AccessDeniedException", "not you", 400)
        assert script.main(["--region", "eu-west-1"]) == 1
        assert "AccessDeniedException" in capsys.readouterr().err
        assert [json.loads(path.read_text()) for path in (facts, services)] == [OLD, SERVICES]

        answers.types("c6i.xlarge")
        answers.prices(product("0.19"))
        answers.fargate()
        answers.services()
        assert script.main(["--region", "eu-west-1"]) == 0
    said = capsys.readouterr().out
    assert f"2 types and {len(script._USAGE)} services, prices of eu-west-1" in said
    assert "does not sell them: old1.large" in said
    assert json.loads(facts.read_text())["types"]["c6i.xlarge"]["usd_per_hour"] == 0.19
    assert ServicePrices.model_validate_json(services.read_text()).region == "eu-west-1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", "services.json"]
