"""What AWS refuses for the sake of something else, or because of a limit, is refused here in the
same words.
"""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until


def _empty_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.py", "def b(event, context): pass")
    return buffer.getvalue()


EMPTY_ZIP = _empty_zip()


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_placement_group_stays_while_its_instances_shut_down(stage: Stage) -> None:
    ec2, name = stage.client("ec2"), stage.name("group")
    ec2.create_placement_group(GroupName=name, Strategy="cluster")
    environment = stage.environment(minvCpus=4, placementGroup=name)
    until(
        lambda: stage.cloud.batch.store.environments[environment.rsplit("/", 1)[-1]].instances,
        what="an instance",
    )
    with pytest.raises(ClientError, match="is in use and may not be deleted") as refusal:
        ec2.delete_placement_group(GroupName=name)
    assert code(refusal) == "InvalidPlacementGroup.InUse"
    stage.batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    stage.batch.delete_compute_environment(computeEnvironment=environment)
    with pytest.raises(ClientError, match="is in use and may not be deleted"):
        ec2.delete_placement_group(GroupName=name)
    stage.cloud.batch.store.placements_busy.clear()  # they are gone
    ec2.delete_placement_group(GroupName=name)


@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False)])
def test_variables_of_a_function_have_four_kilobytes(stage: Stage, size: int, fits: bool) -> None:
    client, name = stage.client("lambda"), stage.name("function")
    value = "x" * (size - len('{"A":""}'))
    request = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Role": stage.role("lambda.amazonaws.com"),
        "Handler": "a.b",
        "Code": {"ZipFile": EMPTY_ZIP},
    }
    if fits:
        client.create_function(**request, Environment={"Variables": {"A": value}})
        return
    with pytest.raises(ClientError, match="exceeded the 4KB limit") as refusal:
        client.create_function(**request, Environment={"Variables": {"A": value}})
    assert code(refusal) == "InvalidParameterValueException"
    client.create_function(**request)
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"A": value}}
        )


def test_patterns_widgets_and_alarm_rules_have_limits(stage: Stage) -> None:
    events, watch = stage.client("events"), stage.client("cloudwatch")
    pattern = json.dumps({"resources": ["x" * 2100]})
    with pytest.raises(ClientError, match="which is more than 2048"):
        events.put_rule(Name="long", EventPattern=pattern)
    for count, kind, member in ((101, "alarm", "alarms"), (501, "metric", "metrics")):
        body = {"widgets": [{"type": kind, "properties": {member: ["x"] * count}}]}
        with pytest.raises(ClientError, match=f"a widget with {count} {member}"):
            watch.put_dashboard(DashboardName="big", DashboardBody=json.dumps(body))
    rule = " OR ".join(f'ALARM("a{number}")' for number in range(101))
    with pytest.raises(ClientError, match="101 alarms"):
        watch.put_composite_alarm(AlarmName="all", AlarmRule=rule)
