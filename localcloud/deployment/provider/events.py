"""EventBridge rules and targets, and EventBridge Scheduler."""

from __future__ import annotations

from typing import Any, Final

from localcloud.deployment.provider.calls import (
    Call,
    Naming,
    ProviderError,
    Row,
    handles,
    names,
    rows,
)

names(
    {
        "cloudwatch/eventRule:EventRule": Naming(longest=64, characters=r"[0-9A-Za-z_.-]"),
        "scheduler/schedule:Schedule": Naming(longest=64, characters=r"[0-9A-Za-z_.-]"),
        "scheduler/scheduleGroup:ScheduleGroup": Naming(longest=64, characters=r"[0-9A-Za-z_.-]"),
    }
)
_TARGET_RENAME: Final = {
    "batchTarget": "BatchParameters",
    "batchTarget.arraySize": "ArrayProperties",
    "deadLetterConfig": "DeadLetterConfig",
    "ecsTarget": "EcsParameters",
    "httpTarget": "HttpParameters",
    "kinesisTarget": "KinesisParameters",
    "sqsTarget": "SqsParameters",
    "inputTransformer.inputPaths": "InputPathsMap",
}
rows(
    {
        "scheduler/scheduleGroup:ScheduleGroup": Row(
            "scheduler", "CreateScheduleGroup", "{name}", {"arn": "ScheduleGroupArn"}, fixed={}
        )
    }
)


@handles("cloudwatch/eventRule:EventRule")
def rule(call: Call) -> None:
    """Rule by pattern or by schedule."""
    call.ignore("forceDestroy")
    enabled, state, name, bus = (
        call.take("isEnabled"),
        call.take("state"),
        call.take("name"),
        call.take("eventBusName") or "default",
    )
    state = state or ("DISABLED" if enabled is False else "ENABLED")
    created = call.create("events", "PutRule", Name=name, State=state, EventBusName=bus)
    call.id = name if bus == "default" else f"{bus}/{name}"
    call.outputs |= {"arn": created["RuleArn"], "state": state, "eventBusName": bus}


@handles(
    "cloudwatch/eventTarget:EventTarget",
    Naming(property="targetId", longest=64, characters=r"[0-9A-Za-z_.-]", late=True),
)
def target(call: Call) -> None:
    """Target of a rule."""
    call.ignore("forceDestroy")
    name, bus = call.take("rule"), call.take("eventBusName") or "default"
    identity = call.take("targetId")
    document: dict[str, Any] = {
        **call.aws.part("events", "Target", call.rest(), _TARGET_RENAME),
        "Id": identity,
    }
    answer = call.send("events", "PutTargets", Rule=name, EventBusName=bus, Targets=[document])
    if answer.get("FailedEntryCount"):
        failed = answer["FailedEntries"][0]
        raise ProviderError(
            f"events:PutTargets answered {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
        )
    call.id = f"{bus}-{name}-{identity}"
    call.outputs |= {"targetId": identity, "eventBusName": bus}


@handles("scheduler/schedule:Schedule")
def schedule(call: Call) -> None:
    """Schedule of EventBridge Scheduler."""
    name, group = call.take("name"), call.take("groupName") or "default"
    rename = {"target.sqsParameters": "SqsParameters", "target.ecsParameters": "EcsParameters"}
    created = call.create(
        "scheduler", "CreateSchedule", tagged=None, rename=rename, Name=name, GroupName=group
    )
    call.id = f"{group}/{name}"
    call.outputs |= {
        "arn": created["ScheduleArn"],
        "groupName": group,
        "state": call.values.get("state", "ENABLED"),
    }
