"""What moto and botocore are kept from doing anew gives what it gave."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import xform_name
from botocore.hooks import EventAliaser, HierarchicalEmitter
from moto.core.serialize import AttributePicker, AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path

from localcloud.moto import speed
from localcloud.services.execution_speed import copied
from tests.localcloud.conftest import Stage, until


def test_a_copy_shares_nothing_and_knows_what_is_no_json() -> None:
    moment, inner = datetime(2026, 1, 1, tzinfo=UTC), {"list": [1, 2.5, None, True, "text"]}
    value = {"inner": inner, "again": inner, "moment": moment, "set": {1}}

    found = copied(value)

    assert found == value
    found["inner"]["list"].append(3)
    found["set"].add(2)
    assert (inner, value["set"]) == ({"list": [1, 2.5, None, True, "text"]}, {1})
    assert "3" not in json.dumps(found["again"])


def test_a_path_and_a_definition_are_parsed_once_and_executions_keep_their_own(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, programs = AmazonStateLanguageParser.parse, list[Any]()

    def noted(definition: str) -> Any:
        found = parse(definition)
        programs.append(found[0])
        return found

    monkeypatch.setattr(AmazonStateLanguageParser, "parse", staticmethod(noted))
    client, role = stage.client("stepfunctions"), stage.role("states.amazonaws.com")
    choice = {"Variable": "$.number", "NumericGreaterThan": 2, "Next": "Much"}
    states = {
        "Which": {"Type": "Choice", "Choices": [choice], "Default": "Little"},
        "Much": {"Type": "Pass", "Result": {"how": "much"}, "End": True},
        "Little": {"Type": "Pass", "Parameters": {"was.$": "$.number"}, "End": True},
    }
    machine = client.create_state_machine(
        name=stage.name("machine"),
        definition=json.dumps({"StartAt": "Which", "States": states}),
        roleArn=role,
    )["stateMachineArn"]

    def output(number: int) -> Any:
        execution = client.start_execution(
            stateMachineArn=machine, input=json.dumps({"number": number})
        )["executionArn"]
        ended = until(
            lambda: (
                (found := client.describe_execution(executionArn=execution))["status"]
                == "SUCCEEDED"
                and found
            )
        )
        return json.loads(ended["output"])

    assert [output(number) for number in (1, 3, 2)] == [{"was": 1}, {"how": "much"}, {"was": 2}]
    assert len(programs) == 2, "where the machine is made, and for its first execution"
    assert programs[0] is programs[1]
    path = vars(json_path)["parse"]
    assert path("$.number") is path("$.number")


def test_the_names_of_a_member_in_objects_are_those_of_moto(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def names(self: Any, context: Any) -> list[str]:
        return [f"{context.key} of {type(context.obj).__name__}", "member"]

    model = get_service_model("batch").operation_model("DescribeJobs")
    assert model.output_shape is not None
    shape = model.output_shape.members["jobs"]
    kept = speed._kept_by_shape(names)
    monkeypatch.setattr(XFormedAttributePicker, "get_possible_keys", kept)

    def picked(obj: Any, key: str) -> Any:
        return list(kept(None, AttributePickerContext(obj, key, shape, model)))

    with_meta = SimpleNamespace(Meta=SimpleNamespace(serialization_aliases={}))
    for _ in range(2):
        assert picked({}, "jobs") == ["jobs of dict", "member"]
        assert picked([], "jobs") == ["jobs of list", "member"]
        assert picked({}, "other") == ["other of dict", "member"]
        assert picked(with_meta, "jobs") == ["jobs of SimpleNamespace", "member"]
    assert len(vars(shape)["names_in_objects"]) == 3, "one that says more of itself is asked"


def test_a_member_of_an_answer_is_found_in_a_dictionary_as_moto_finds_it() -> None:
    speed.hasten()
    model = get_service_model("dynamodb").operation_model("GetItem")
    assert model.output_shape is not None
    shape: Any = model.output_shape
    asked: list[Any] = []
    for each in shape.members.values():  # as where nobody has called it yet
        vars(each).pop("names_in_objects", None)

    def values(transformers: dict[str, Any], value: Any) -> list[Any]:
        picker = XFormedAttributePicker(response_transformers=transformers)
        serializer = SimpleNamespace(_value_picker=picker, operation_model=model, path=["GetItem"])

        def by_moto(_: Any, value: Any, key: str, member: Any) -> Any:
            asked.append(key)
            return picker(AttributePickerContext(value, key, member, model, None, "GetItem"))

        find = speed._of_dictionary(by_moto)
        return [find(serializer, value, key, each) for key, each in shape.members.items()]

    told = {"consumed_capacity": {"units": 0}, "Item": {}}
    for value, expected in (
        (told, [{}, {"units": 0}]),
        ({}, [None, None]),
        (OrderedDict(told), [{}, {"units": 0}]),
        (SimpleNamespace(item=0), [0, None]),
    ):
        first, again = values({}, value), values({}, value)
        assert first == again == expected
    hidden = {"GetItem.Item": lambda _: "hidden"}
    assert values(hidden, told) == ["hidden", {"units": 0}]
    assert len(asked) == 2 + 2 * (2 + 2) + 2, "a dictionary is looked through here but once"


class Volume:
    class Meta:
        serialization_aliases = {"VolumeId": "the_id", "Attachments": "hung"}  # noqa: RUF012


@pytest.mark.parametrize("taken_from", [{}, Volume(), speed])
def test_the_names_of_all_members_are_those_of_moto(taken_from: Any) -> None:
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
            expected = [name for each in names for name in (each, xform_name(each))]
            assert [*dict.fromkeys(picker.get_possible_keys(context))] == [*dict.fromkeys(expected)]
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
