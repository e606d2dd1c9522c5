"""What the machines of a stage cost in an hour."""

from __future__ import annotations

from config.facts import ec2_facts
from config.prices import stage_machines
from config.stack import StackConfig
from config.topology import jobs


def job_prices(config: StackConfig, region: str) -> dict[str, float]:
    """US dollars per hour, On-Demand, of what a job reserves, by stage and of `fallback` where
    there is one; a job whose price is not known is left out.

    A multi-node job reserves its instances whole. Another job reserves its share of an instance,
    the larger of its shares of vCPUs and memory, of the cheapest fitting type in the first
    environment of its queue that has a price. Spot is counted at the On-Demand price: the truth is
    below it. Outside of the region of the price list nothing is known.
    """
    if region != ec2_facts().prices.region:
        return {}
    prices = {job: stage_machines(config, job).usd_per_hour for job in jobs(config)}
    return {job: round(price, 6) for job, price in prices.items() if price is not None}
