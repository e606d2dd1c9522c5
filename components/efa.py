"""Where the Elastic Fabric Adapters of an instance type sit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from config.facts import EFA_ONLY_FAMILIES, InstanceType


@dataclass(frozen=True, kw_only=True)
class Interface:
    """One network interface of an instance."""

    card: int
    device: int
    type: Literal["efa", "efa-only", "interface"]


_DEVICE_IS_CARD: Final = ("p4d.", "p4de.")
_DEVICE_IS_ONE: Final = ("hpc7a.",)


def efa_interfaces(type_name: str, facts: InstanceType | None) -> tuple[Interface, ...]:
    """One interface per network card, in card order; the first is the primary one.

    Device indexes beyond card 0 are those of AWS's own samples for AWS Batch (P5: 0; P4d: the
    card's index) and for hpc7a (1). On P5, whose card 0 has room for two interfaces, this leaves
    one for the interface that ECS adds for the container of a multi-node job; EC2's layout for most
    bandwidth fills both.

    On P5 and P6 all but the primary one are `efa-only`: an adapter without an address, which serves
    what bypasses the operating system, and that is all that these cards are for; a p5.48xlarge
    takes one address in place of 32 (EC2 user guide, efa-acc-inst-types; the provider knows the
    type since 5.74, terraform-provider-aws #39882).

    A type without facts gets one adapter, which every type with EFA has.
    """
    if facts is None or facts.network_cards <= 1:
        return (Interface(card=0, device=0, type="efa"),)
    # P6-B300: one card more than adapters, and card 0 has none (aws/aws-parallelcluster#7143)
    first_is_plain = facts.efa_interfaces < facts.network_cards
    return tuple(
        Interface(
            card=card,
            device=_device(type_name, card),
            type=_type(type_name, card, first_is_plain=first_is_plain),
        )
        for card in range(facts.network_cards)
    )


def _type(
    type_name: str, card: int, *, first_is_plain: bool
) -> Literal["efa", "efa-only", "interface"]:
    if card == 0:
        return "interface" if first_is_plain else "efa"
    return "efa-only" if type_name.startswith(EFA_ONLY_FAMILIES) else "efa"


def _device(type_name: str, card: int) -> int:
    if card == 0:
        return 0
    if type_name.startswith(_DEVICE_IS_CARD):
        return card
    return 1 if type_name.startswith(_DEVICE_IS_ONE) else 0


def efa_device_count(type_name: str, facts: InstanceType | None) -> int:
    """How many `/dev/infiniband/uverbs<n>` an instance of the type has with these interfaces."""
    return sum(interface.type != "interface" for interface in efa_interfaces(type_name, facts))
