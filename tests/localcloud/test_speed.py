"""What the AWS in memory keeps is what moto and botocore find each time."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name
from botocore.hooks import EventAliaser, HierarchicalEmitter
from moto.core.serialize import AttributePicker, AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_service_model

from localcloud.moto import speed


class Volume:
    class Meta:
        serialization_aliases = {"VolumeId": "the_id", "Attachments": "hung"}  # noqa: RUF012


@pytest.mark.parametrize("taken_from", [{}, Volume(), speed])
def test_the_names_of_an_answers_members_are_those_of_moto(taken_from: Any) -> None:
    speed.hasten()
    model = get_service_model("ec2").operation_model("DescribeVolumes")
    output: Any = model.output_shape
    shape = output.members["Volumes"].member
    picker = XFormedAttributePicker()
    seen = []
    for _ in range(2):  # found, and kept
        for key, member in shape.members.items():
            member.parent = shape
            context = AttributePickerContext(obj=taken_from, key=key, shape=member)
            names = AttributePicker.get_possible_keys(picker, context)
            assert [*picker.get_possible_keys(context)] == [
                name for each in names for name in (each, xform_name(each))
            ]
            seen.append(picker.get_possible_keys(context))
    assert ("the_id" in {name for names in seen for name in names}) == isinstance(
        taken_from, Volume
    )


def test_the_names_of_events_are_those_of_botocore() -> None:
    speed.hasten()
    names = [
        "before-call.cloudwatch.PutMetricData",
        "request-created.elb.A",
        "docs.*.autoscaling.*",
    ]
    own: Any = EventAliaser(HierarchicalEmitter(), {"cloudwatch": "other"})
    assert own._alias_event_name(names[0]) == "before-call.other.PutMetricData"
    for _ in range(2):
        every: Any = EventAliaser(HierarchicalEmitter())
        assert [every._alias_event_name(name) for name in names] == [
            "before-call.cloudwatch.PutMetricData",
            "request-created.elastic-load-balancing.A",
            "docs.*.auto-scaling.*",
        ]
