"""Asks AWS for the instance types and prices that config/ knows, and writes both data files.

    python scripts/refresh_ec2_facts.py                                 # the region of the files
    python scripts/refresh_ec2_facts.py --region eu-west-1 --add g6.xlarge

Needs credentials that may call ec2:DescribeInstanceTypes and pricing:GetProducts. A type that the
region does not sell keeps its sizes and loses its price; a price that AWS does not name
unambiguously is never guessed. Nothing is written unless all of it is known.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

CONFIG: Final = Path(__file__).resolve().parent.parent / "config"
FACTS: Final = CONFIG / "ec2_facts.json"
SERVICES: Final = CONFIG / "service_prices.json"
_SOURCE: Final = "AWS Price List API, GetProducts"
_PRICING_REGION: Final = "us-east-1"
"""One of the few regions where the Price List API answers; it knows the prices of all."""
_TYPES_AT_ONCE: Final = 100
# name in service_prices.json -> service code, usage type without the region's prefix
_USAGE: Final = {
    "nat-gateway-hour": ("AmazonEC2", "NatGateway-Hours"),
    "interface-endpoint-zone-hour": ("AmazonVPC", "VpcEndpoint-Hours"),
    "public-ipv4-hour": ("AmazonVPC", "PublicIPv4:InUseAddress"),
    "alarm-month": ("AmazonCloudWatch", "CW:AlarmMonitorUsage"),
    "composite-alarm-month": ("AmazonCloudWatch", "CW:CompositeAlarmMonitorUsage"),
    "custom-metric-month": ("AmazonCloudWatch", "CW:MetricMonitorUsage"),
    "secret-month": ("AWSSecretsManager", "AWSSecretsManager-Secrets"),
    "kms-key-month": ("awskms", "KMS-Keys"),
    "s3-gb-month": ("AmazonS3", "TimedStorage-ByteHrs"),
    "ecr-gb-month": ("AmazonECR", "TimedStorage-ByteHrs"),
    "fargate-storage-gib-hour": ("AmazonECS", "Fargate-EphemeralStorage-GB-Hours"),
    "gp3-gib-month": ("AmazonEC2", "EBS:VolumeUsage.gp3"),
    "gp3-iops-month": ("AmazonEC2", "EBS:VolumeP-IOPS.gp3"),
    "ebs-snapshot-gib-month": ("AmazonEC2", "EBS:SnapshotUsage"),
    "efs-gb-month": ("AmazonEFS", "TimedStorage-ByteHrs"),
    "efs-provisioned-mibps-month": ("AmazonEFS", "ProvisionedTP-MiBpsHrs"),
}
_FARGATE: Final = {
    "usd_per_vcpu_hour": ("AmazonECS", "Fargate-vCPU-Hours:perCPU"),
    "usd_per_gib_hour": ("AmazonECS", "Fargate-GB-Hours"),
}


class RefreshError(Exception):
    """One sentence for whoever runs the script."""


# ---- instance types ------------------------------------------------------------------------------


def described(ec2: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Facts of the types that the region sells."""
    found: dict[str, dict[str, Any]] = {}
    pages = ec2.get_paginator("describe_instance_types")
    for start in range(0, len(names), _TYPES_AT_ONCE):
        filters = [{"Name": "instance-type", "Values": list(names[start : start + _TYPES_AT_ONCE])}]
        for page in pages.paginate(Filters=filters):
            found |= {each["InstanceType"]: facts_of(each) for each in page["InstanceTypes"]}
    return found


def facts_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of config.facts.InstanceType that DescribeInstanceTypes tells; those at their
    default are left out.
    """
    network = description["NetworkInfo"]
    facts: dict[str, Any] = {
        "vcpus": description["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": description["MemoryInfo"]["SizeInMiB"],
        "architecture": next(
            each
            for each in description["ProcessorInfo"]["SupportedArchitectures"]
            if each != "i386"
        ),
    }
    gpus = description.get("GpuInfo", {}).get("Gpus", [])
    if gpus and sum(gpu["Count"] for gpu in gpus):
        facts |= {
            "gpus": sum(gpu["Count"] for gpu in gpus),
            "gpu_name": gpus[0]["Name"],
            "gpu_memory_mib": gpus[0]["MemoryInfo"]["SizeInMiB"],
        }
    if network.get("EfaSupported"):
        facts["efa_interfaces"] = network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
    disks = description.get("InstanceStorageInfo", {}).get("Disks", [])
    if disks:
        facts |= {
            "scratch_disks": sum(disk["Count"] for disk in disks),
            "scratch_disk_gb": disks[0]["SizeInGB"],
        }
    if "spot" not in description["SupportedUsageClasses"]:
        facts["spot"] = False
    cards = network["NetworkCards"]
    return facts | {
        "network_cards": network["MaximumNetworkCards"],
        "interfaces_per_card": cards[0]["MaximumNetworkInterfaces"],
    }


# ---- prices --------------------------------------------------------------------------------------


def instance_price(pricing: Any, region: str, name: str) -> float | None:
    """US dollars for an hour of a type On-Demand with Linux, None where the region does not sell
    it.
    """
    wanted = {
        "regionCode": region,
        "instanceType": name,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "licenseModel": "No License required",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
    ]
    return _one_price(_products(pricing, "AmazonEC2", filters), f"an hour of {name}", unit="Hrs")


def usage_price(pricing: Any, region: str, service: str, usage: str) -> float | None:
    """US dollars for one unit of a usage type, the first tier where there are several; None where
    the region has none.
    """
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
        {"Type": "CONTAINS", "Field": "usagetype", "Value": usage},
    ]
    own = re.compile(
        rf"(?:[A-Z0-9]+-)?{re.escape(usage)}"
    )  # every region but the first has a prefix, as in EUC1-NatGateway-Hours
    products = (
        each
        for each in _products(pricing, service, filters)
        if own.fullmatch(each["product"]["attributes"]["usagetype"])
    )
    return _one_price(products, f"{usage} of {service}")


def _products(
    pricing: Any, service: str, filters: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    for page in pricing.get_paginator("get_products").paginate(
        ServiceCode=service, Filters=filters, FormatVersion="aws_v1"
    ):
        for text in page["PriceList"]:
            product: dict[str, Any] = json.loads(text)
            yield product


def _one_price(products: Iterator[dict[str, Any]], what: str, unit: str = "") -> float | None:
    """The price that all products agree on. Raises RefreshError where they do not."""
    found = {
        float(dimension["pricePerUnit"]["USD"])
        for product in products
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if dimension.get("beginRange", "0") == "0"
        and "USD" in dimension["pricePerUnit"]
        and unit in ("", dimension["unit"])
    }
    found.discard(0.0)  # free tiers and entries that only carry a name
    if len(found) > 1:
        raise RefreshError(
            f"AWS names several prices for {what}:"
            f" {', '.join(f'{price:g}' for price in sorted(found))}; nothing was written"
        )
    return found.pop() if found else None


# ---- both files ----------------------------------------------------------------------------------


def refreshed_facts(
    old: Mapping[str, Any], ec2: Any, pricing: Any, *, region: str, add: Sequence[str], today: str
) -> dict[str, Any]:
    """config/ec2_facts.json anew.

    Raises RefreshError where a type that is to be added does not exist, or Fargate has no price.
    """
    names = list(dict.fromkeys((*old["types"], *add)))
    found = described(ec2, names)
    unknown = [name for name in add if name not in found and name not in old["types"]]
    if unknown:
        raise RefreshError(f"{region} sells no {', '.join(unknown)}; nothing was written")
    types: dict[str, Any] = {}
    for name in names:
        kept = {
            key: value
            for key, value in old["types"].get(name, {}).items()
            if key not in {"usd_per_hour", "price_confirmed"}
        }
        price = instance_price(pricing, region, name) if name in found else None
        types[name] = {
            **kept,
            **found.get(name, {}),
            **({} if price is None else {"usd_per_hour": price}),
        }
    return {
        "source": "EC2 DescribeInstanceTypes",
        "prices": {
            "region": region,
            "date": today,
            "unit": "US dollars per hour, Linux, On-Demand",
            "source": _SOURCE,
        },
        "fargate": {
            **{field: _needed(pricing, region, *usage) for field, usage in _FARGATE.items()},
            "price_confirmed": True,
        },
        "types": types,
    }


def refreshed_services(
    old: Mapping[str, Any], pricing: Any, *, region: str, today: str
) -> dict[str, Any]:
    """config/service_prices.json anew. Raises RefreshError where a price is missing.

    Prices that are not asked for, those of Lustre, stay as they are for the region that they are
    of, unconfirmed; for another region they are left out, and unknown from then on.
    """
    prices = {
        name: {"usd": _needed(pricing, region, *usage), "confirmed": True}
        for name, usage in _USAGE.items()
    }
    if region == old["region"]:
        kept = {name: price for name, price in old["prices"].items() if name not in _USAGE}
        prices |= {name: {**price, "confirmed": False} for name, price in kept.items()}
    return {"region": region, "date": today, "source": _SOURCE, "prices": prices}


def _needed(pricing: Any, region: str, service: str, usage: str) -> float:
    price = usage_price(pricing, region, service, usage)
    if price is None:
        raise RefreshError(
            f"AWS names no price of {usage} of {service} in {region}; nothing was written"
        )
    return price


def as_text(document: Mapping[str, Any]) -> str:
    """JSON with one line for each type or price, so that a change shows as the lines that it
    touches.
    """
    table = "types" if "types" in document else "prices"
    head = json.dumps({key: value for key, value in document.items() if key != table}, indent=2)
    rows = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in document[table].items()
    )
    return f"{head[:-2]},\n  {json.dumps(table)}: {{\n{rows}\n  }}\n}}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Refreshes both files; returns 0, or 1 with one sentence on standard error."""
    old = json.loads(FACTS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--region", default=old["prices"]["region"], help="whose prices; %(default)s without it"
    )
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="TYPE",
        help="an instance type that the file lacks; may be repeated",
    )
    asked = parser.parse_args(arguments)
    session = boto3.Session()
    today = datetime.now(UTC).date().isoformat()
    try:
        ec2, pricing = (
            session.client("ec2", region_name=asked.region),
            session.client("pricing", region_name=_PRICING_REGION),
        )
        facts = refreshed_facts(old, ec2, pricing, region=asked.region, add=asked.add, today=today)
        services = refreshed_services(
            json.loads(SERVICES.read_text(encoding="utf-8")),
            pricing,
            region=asked.region,
            today=today,
        )
    except (RefreshError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path, document in ((FACTS, facts), (SERVICES, services)):
        partial = path.with_suffix(".partial")
        partial.write_text(as_text(document), encoding="utf-8")
        partial.replace(path)
    unpriced = [name for name, entry in facts["types"].items() if "usd_per_hour" not in entry]
    print(
        f"{len(facts['types'])} types and {len(services['prices'])} services, prices of"
        f" {asked.region}, {today}"
    )
    if unpriced:
        print(f"without a price, because {asked.region} does not sell them: {', '.join(unpriced)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
