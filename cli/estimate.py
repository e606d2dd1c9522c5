"""`estimate`: what a stack costs, before anybody says yes to it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.check import hanging, valid
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.stack_files import StackFile, read
from config.estimate import NOT_COUNTED, Estimate, estimate
from config.facts import ec2_facts
from config.prices import service_prices
from config.stack import StackConfig
from workloads.contract import STAGES, Run, Stage
from workloads.records import StageRecord

_UNKNOWN: Final = "unknown"
_PAST_RUNS: Final = 10


def show(
    console: Console,
    errors: Console,
    source: str,
    *,
    minutes: str,
    runs: int,
    stored_gb: float,
    results_bucket: str,
    endpoint_url: str,
    as_json: bool,
) -> ExitCode:
    """Prints the estimate of a stack.

    Raises CliError where the file, the minutes or the past runs cannot be read.
    """
    file = read(source)
    config = valid(errors, file)
    past = past_minutes(results_bucket, file.region, endpoint_url) if results_bucket else {}
    found = of_file(
        file, config, minutes=parse_minutes(minutes), past=past, runs=runs, stored_gb=stored_gb
    )
    if as_json:
        print_json(as_dict(found))
    else:
        _print(console, file, found)
    return ExitCode.OK


def of_file(
    file: StackFile,
    config: StackConfig,
    *,
    minutes: Mapping[Stage, float],
    past: Mapping[Stage, float],
    runs: int,
    stored_gb: float,
) -> Estimate:
    """The estimate of a valid stack file."""
    webhook = "slack-webhook-url" in file.values
    return estimate(
        config,
        region=file.region,
        webhook=webhook,
        minutes={str(stage): value for stage, value in minutes.items()},
        past={str(stage): value for stage, value in past.items()},
        runs=runs,
        stored_gb=stored_gb,
    )


def parse_minutes(text: str) -> dict[Stage, float]:
    """`preprocess=10,analysis=180` as a map. Raises CliError."""
    found: dict[Stage, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        stage = next((stage for stage in STAGES if stage == name.strip()), None)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if stage is None or not 0 <= number < math.inf:
            raise CliError(
                f"--minutes has {part!r}; write stage=minutes, with the stages {', '.join(STAGES)}",
                ExitCode.USAGE,
            )
        found[stage] = number
    return found


def past_minutes(bucket: str, region: str | None, endpoint_url: str) -> dict[Stage, float]:
    """Median minutes by stage of the newest finished runs in a results bucket.

    Raises CliError where it cannot be read or has none.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("s3", region_name=region, endpoint_url=endpoint_url or None)
        records = _records(client, bucket)
    except (BotoCoreError, ClientError) as error:
        raise CliError(
            f"past runs cannot be read from bucket {bucket}: {error}", ExitCode.USAGE
        ) from error
    if not records:
        raise CliError(
            f"bucket {bucket} holds no finished run; leave --results-bucket out, or give --minutes",
            ExitCode.USAGE,
        )
    return {
        stage: statistics.median(record.seconds for record in records[stage]) / 60
        for stage in STAGES
        if records.get(stage)
    }


def _records(client: Any, bucket: str) -> dict[Stage, list[StageRecord]]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="runs/", Delimiter="/"
    )
    runs = sorted(
        (
            prefix["Prefix"].split("/")[1]
            for page in pages
            for prefix in page.get("CommonPrefixes", [])
        ),
        reverse=True,
    )
    found: dict[Stage, list[StageRecord]] = {}
    for name in runs[:_PAST_RUNS]:
        for stage in STAGES:
            try:
                body = client.get_object(Bucket=bucket, Key=Run(name).stage_record_key(stage))[
                    "Body"
                ].read()
            except client.exceptions.NoSuchKey:
                continue  # the stage has not finished
            found.setdefault(stage, []).append(StageRecord.from_json(body))
    return found


def as_dict(found: Estimate) -> dict[str, Any]:
    """The estimate for programs; amounts in US dollars, null where a price is not known."""
    return {
        "region": found.region,
        "prices": {
            "region": found.price_region,
            "machines": {"date": found.price_date, "source": ec2_facts().prices.source},
            "services": {"date": found.service_price_date, "source": service_prices().source},
        },
        "rest": {
            "usd_per_month": _cents(found.rest_usd),
            "lines": [{"what": line.what, "usd": _cents(line.usd)} for line in found.rest],
        },
        "run": {
            "usd": _cents(found.run_usd),
            "stages": [
                {
                    "stage": stage.stage,
                    "machines": stage.machines,
                    "usd_per_hour": stage.usd_per_hour,
                    "minutes": stage.minutes,
                    "minutes_from": stage.source,
                    "usd": _cents(stage.usd),
                    "worst_usd": _cents(stage.worst_usd),
                }
                for stage in found.stages
            ],
        },
        "month": {
            "runs": found.runs,
            "usd": _cents(found.month_usd),
            "budget_usd": found.budget_usd,
        },
        "worst": {
            "run_usd": _cents(found.worst_run_usd),
            "month_usd": _cents(found.worst_month_usd),
            "ceiling_usd_per_hour": _cents(found.ceiling_usd_per_hour),
        },
        "unpriced_types": list(found.unpriced),
        "not_counted": NOT_COUNTED,
    }


def _cents(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 2)


def why_unknown(found: Estimate) -> str:
    """Why an amount is not known, empty where all are."""
    if found.region not in (None, found.price_region):
        return (
            f"the price list is that of {found.price_region}; scripts/refresh_ec2_facts.py --region"
            f" {found.region} asks AWS"
        )
    if not found.unpriced:
        return ""
    return (
        f"no price of {', '.join(found.unpriced)}; nothing is guessed, and a sum with an unknown"
        " part is unknown"
    )


def dollars(amount: float | None) -> str:
    """`1,234.50`, or `unknown`."""
    return _UNKNOWN if amount is None else f"{amount:,.2f}"


def _print(console: Console, file: StackFile, found: Estimate) -> None:
    console.print(
        Text.assemble((file.label, "bold"), f", {found.region or 'no region named'}, US dollars\n")
    )
    rest = _table("At rest, a month", "USD")
    for line in found.rest:
        rest.add_row(Text(line.what), _marked(line.usd, line.confirmed))
    rest.add_section()
    rest.add_row("sum", dollars(found.rest_usd), style="bold")
    console.print(rest, "")

    run = _table("A run", "USD/h", "minutes", "USD", "at worst")
    for stage in found.stages:
        minutes = f"{stage.minutes:,.1f}".removesuffix(".0") + {
            "timeout": " max",
            "past runs": " past",
        }.get(stage.source, "")
        run.add_row(
            Text(f"{stage.stage}: {stage.machines}"),
            _marked(stage.usd_per_hour, stage.confirmed),
            minutes,
            dollars(stage.usd),
            dollars(stage.worst_usd),
        )
    run.add_section()
    run.add_row("sum", "", "", dollars(found.run_usd), dollars(found.worst_run_usd), style="bold")
    console.print(run, "")

    month = _table(f"A month of {found.runs} runs, and rest", "USD", "of the budget")
    for what, usd in (("as above", found.month_usd), ("every run at worst", found.worst_month_usd)):
        month.add_row(
            what, dollars(usd), _UNKNOWN if usd is None else f"{usd / found.budget_usd:.0%}"
        )
    month.add_section()
    month.add_row("budget", dollars(found.budget_usd), "")
    console.print(month, "")

    ceiling = _table("All environments full, an hour", "USD")
    for line in found.ceiling:
        ceiling.add_row(Text(line.what), dollars(line.usd))
    ceiling.add_section()
    ceiling.add_row("sum", dollars(found.ceiling_usd_per_hour), style="bold")
    console.print(ceiling, "")
    for label, text in _notes(found):
        hanging(console, label, text)


def _notes(found: Estimate) -> Sequence[tuple[str, str]]:
    facts = ec2_facts().prices
    notes = [
        (
            "prices",
            (
                f"{found.price_region}, machines of {found.price_date}, services of"
                f" {found.service_price_date}; {facts.source}"
            ),
        ),
        (
            "~",
            (
                "a price of an older copy, not of the dated list; scripts/refresh_ec2_facts.py"
                " asks AWS"
            ),
        ),
        (
            "worst",
            (
                "every attempt runs into its timeout, on the dearest type, with the one instance by"
                " which AWS Batch may pass max_vcpus"
            ),
        ),
        ("without", NOT_COUNTED),
    ]
    if any(stage.source == "timeout" for stage in found.stages):
        notes.insert(
            0,
            (
                "max",
                (
                    "the timeout of one attempt stands for the minutes; --minutes or"
                    " --results-bucket say better"
                ),
            ),
        )
    if unknown := why_unknown(found):
        notes.insert(0, (_UNKNOWN, unknown))
    return notes


def _marked(amount: float | None, confirmed: bool) -> str:
    return dollars(amount) if confirmed or amount is None else f"~ {dollars(amount)}"


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, title_justify="left")
    table.add_column(title, min_width=34)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
