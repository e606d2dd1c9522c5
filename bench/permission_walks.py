"""Walks over a deployed stack that together make every call that its roles are there for: what
`bench.permissions` drills with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench.permission_scene import (
    BAD,
    BUDGET_USD,
    FILE_BY,
    FINISHED_BY,
    GOOD,
    Scene,
    logical,
    setting,
)
from tests.localcloud.conftest import forward
from workloads import metrics
from workloads.variables import ENV_DEADLINE_HOURS, ENV_GUARD_LIMIT_USD

Walk = Callable[[Scene], None]


def refused_file(scene: Scene) -> None:
    """A file that is no upload, whose event comes twice."""
    name = f"readme-{next(scene.numbers)}.txt"
    bucket, key = scene.ready.outputs["ingest_bucket"], f"data/20260101/{name}"
    reply = scene.client("s3").put_object(Bucket=bucket, Key=key, Body=b"no table")
    scene.wait(lambda: scene.told(name))
    scene.submit(bucket, key, reply["ETag"], reply["VersionId"])


def bad_file(scene: Scene) -> None:
    """A run that fails in its first stage, and is told; its event comes twice."""
    run, upload = scene.uploaded(BAD)
    scene.ends(run)
    scene.wait(lambda: scene.told(run.run_id))
    scene.submit(upload.bucket, upload.key, upload.etag, upload.version_id)


def file_gone(scene: Scene) -> None:
    """A file that is deleted before its run looks at it."""
    batch = scene.ready.cloud.batch
    batch.withhold_capacity("*")
    try:
        run, upload = scene.uploaded(BAD)
        scene.wait(lambda: scene.jobs(run))
        scene.client("s3").delete_object(
            Bucket=upload.bucket, Key=upload.key, VersionId=upload.version_id
        )
    finally:
        batch.withhold_capacity()
    scene.ends(run)
    scene.wait(lambda: scene.told(run.run_id))


def record_gone(scene: Scene) -> None:
    """A run whose first stage's record is deleted before the last one reads it."""
    run, results = scene.upload(GOOD), scene.ready.outputs["results_bucket"]
    scene.wait(lambda: "analysis" in scene.jobs(run))
    scene.wait(lambda: scene.status(run, "preprocess") == "SUCCEEDED")
    scene.client("s3").delete_object(Bucket=results, Key=run.stage_record_key("preprocess"))
    scene.ends(run)
    scene.wait(lambda: scene.told(run.run_id))


def analysis_ended(scene: Scene) -> None:
    """A run whose second stage somebody ends."""
    run = scene.upload(GOOD)
    scene.wait(lambda: scene.status(run, "analysis") in {"RUNNABLE", "STARTING", "RUNNING"})
    if job := scene.jobs(run).get("analysis"):
        scene.client("batch").terminate_job(jobId=job, reason="a walk")
    scene.ends(run)
    scene.wait(lambda: scene.told(run.run_id))


def good_file(scene: Scene) -> None:
    """A run that succeeds."""
    run = scene.upload(GOOD)
    scene.ends(run)
    scene.wait(lambda: scene.told(run.run_id))


def beat(scene: Scene) -> None:
    """A beat of all clocks."""
    scene.ready.cloud.tick()
    scene.wait(lambda: False, seconds=10)


def alarms(scene: Scene) -> None:
    """Alarms whose messages have details: of the day, and of the environments."""
    for metric in (metrics.MISSING_FILES, metrics.USD_PER_HOUR):
        name = f"{metric}-{next(scene.numbers)}"
        message = {
            "AlarmName": name,
            "NewStateValue": "ALARM",
            "StateChangeTime": datetime.now(UTC).isoformat(),
            "Trigger": {"Namespace": metrics.NAMESPACE, "MetricName": metric, "Period": 60},
        }
        topic, text = scene.ready.outputs["alarm_topic_arn"], json.dumps(message)
        scene.client("sns").publish(TopicArn=topic, Message=text)
        scene.wait(lambda name=name: scene.told(name))  # type: ignore[misc]
    # the last one comes twice, and is told already
    scene.client("sns").publish(TopicArn=topic, Message=text)
    scene.wait(lambda: False, seconds=1)


def dead_letter(scene: Scene, function: str) -> None:
    """A function that fails on an event until Lambda gives it up."""
    scene.empty(function)
    with scene.failing(scene.functions[function]["role"], spared="SendMessage"):
        for event in (b'{"detail": {}}', b"{}"):
            scene.client("lambda").invoke(
                FunctionName=scene.functions[function]["name"],
                InvocationType="Event",
                Payload=event,
            )
        scene.wait(lambda: scene.depth(function), seconds=20)
    scene.empty(function)


def messages_kept(scene: Scene) -> None:
    """Slack is down while a run fails, and comes back: the message lies in a queue and is given
    again.
    """
    (notify,) = (each for each in scene.functions if each.endswith("notify"))
    slack = scene.ready.cloud.slack
    slack.fail_next(10**6, status=403)  # whose refusals cost no waiting
    try:
        run = scene.upload(BAD)
        scene.wait(lambda: scene.depth(notify))
        asked = len(scene.ready.cloud.asked)
        scene.ready.cloud.tick()  # in vain
        scene.wait(lambda: scene.asked("sqs:ChangeMessageVisibility", since=asked))
    finally:
        slack.recover()
    scene.wait(lambda: not scene.ready.cloud.tick() and scene.told(run.run_id), seconds=20)
    scene.empty(notify)


def findings_kept(scene: Scene) -> None:
    """Slack is down while a run succeeds."""
    (notify,) = (each for each in scene.functions if each.endswith("notify"))
    slack = scene.ready.cloud.slack
    slack.fail_next(10**6, status=403)
    try:
        run = scene.upload(GOOD)
        scene.wait(lambda: scene.status(run, "postprocess") in {"SUCCEEDED", "FAILED"})
    finally:
        slack.recover()
    scene.empty(notify)


def answer_lost(scene: Scene) -> None:
    """A job is submitted twice at most: the answer to SubmitJob is lost, so the job is looked
    for.
    """
    role = "pipeline-run" if scene.ready.outputs["state_machine_arn"] else "pipeline-submit"
    with scene.failing(role, "SubmitJob", status=500, times=6):
        scene.ends(scene.upload(BAD))


def upload_broken(scene: Scene) -> None:
    """A stage gives up an object that it sends in parts."""
    rows = b"".join(b"%d,%d.%d\n" % (i, i % 977, i * 7919 % 1_000_003) for i in range(700_000))
    with scene.failing("roles-preprocess", "UploadPart", code="InvalidRequest"):
        scene.ends(scene.upload(b"id,height\n" + rows))


def deadline(scene: Scene) -> None:
    """A run of the state machine that is not done by its deadline, whose job never starts."""
    batch = scene.ready.cloud.batch
    batch.withhold_capacity("*")
    try:
        with setting(scene, scene.ready.outputs["submit_function"], ENV_DEADLINE_HOURS, "0"):
            scene.ends(scene.upload(BAD))
    finally:
        batch.withhold_capacity()


def logging_changed(scene: Scene) -> None:
    """The state machines are deployed again: Step Functions looks whether their roles may deliver
    logs.
    """
    machines = scene.client("stepfunctions")
    for each in machines.list_state_machines()["stateMachines"]:
        arn = each["stateMachineArn"]
        found = machines.describe_state_machine(stateMachineArn=arn)["loggingConfiguration"]
        scene.tell(machines.update_state_machine, stateMachineArn=arn, loggingConfiguration=found)


def _budget_action(scene: Scene) -> tuple[dict[str, str], dict[str, Any]]:
    """Whose the budget is, and the action that stops submissions."""
    budgets = scene.client("budgets")
    who = {"AccountId": scene.client("sts").get_caller_identity()["Account"]}
    who["BudgetName"] = budgets.describe_budgets(**who)["Budgets"][0]["BudgetName"]
    return who, budgets.describe_budget_actions_for_budget(**who)["Actions"][0]


def budget_used_up(scene: Scene) -> None:
    """The budget's stop, and its reversal."""
    who, _ = _budget_action(scene)
    scene.ready.cloud.spend(who["BudgetName"], 0.95 * BUDGET_USD)
    budget_settled(scene)
    scene.ready.cloud.spend(who["BudgetName"], 0.0)


def budget_settled(scene: Scene) -> None:
    """Lifts the stop; what AWS Budgets fails at is told to whoever looks at the action."""
    budgets = scene.client("budgets")
    steps = {
        "EXECUTION_SUCCESS": "REVERSE_BUDGET_ACTION",
        "REVERSE_SUCCESS": "RESET_BUDGET_ACTION",
        "EXECUTION_FAILURE": "RETRY_BUDGET_ACTION",
        "REVERSE_FAILURE": "REVERSE_BUDGET_ACTION",
    }
    for _ in steps:
        who, action = _budget_action(scene)
        if (status := action["Status"]) not in steps:
            return
        if status.endswith("FAILURE"):
            scene.said.append(f"AWS Budgets: {status}")
        budgets.execute_budget_action(
            **who, ActionId=action["ActionId"], ExecutionType=steps[status]
        )


def guard_settled(scene: Scene) -> None:
    """Lets the guard finish a stop that it could not, and enables the queue again."""
    (guard,) = (each["name"] for short, each in scene.functions.items() if "guard" in short)
    for _ in range(5):
        answer = scene.client("lambda").invoke(FunctionName=guard, Payload=b"{}")
        if json.loads(answer["Payload"].read()).get("outcome") == "below":
            break
    queue = scene.ready.outputs["stage_queues"]["analysis"]
    scene.client("batch").update_job_queue(jobQueue=queue, state="ENABLED")


def dear_job(scene: Scene) -> None:
    """The guard stops the queue of a job that costs too much."""
    batch, out = scene.client("batch"), scene.ready.outputs
    queue, seen = out["stage_queues"]["analysis"], len(scene.ready.cloud.slack.messages)
    overrides = {"targetNodes": "0:", "containerOverrides": {"command": ["sleep", "300"]}}
    job = batch.submit_job(
        jobName="dear",
        jobQueue=queue,
        jobDefinition=out["stage_job_definitions"]["analysis"],
        nodeOverrides={"nodePropertyOverrides": [overrides]},
    )["jobId"]

    def status() -> str:
        return str(batch.describe_jobs(jobs=[job])["jobs"][0]["status"])

    def stopped() -> bool:
        texts = map(json.dumps, scene.ready.cloud.slack.messages[seen:])
        return status() == "FAILED" and any("cost more than the limit" in text for text in texts)

    (guard,) = (each["name"] for short, each in scene.functions.items() if "guard" in short)
    scene.wait(lambda: status() == "RUNNING")
    with setting(scene, guard, ENV_GUARD_LIMIT_USD, "0.0001"):
        scene.wait(lambda: not scene.ready.cloud.tick() and stopped(), seconds=20)
    batch.terminate_job(jobId=job, reason="the walk is over")
    batch.update_job_queue(jobQueue=queue, state="ENABLED")


def day(scene: Scene) -> None:
    """A day none of whose events came, from `file_by` to `finished_by`."""
    events = scene.client("events")
    uploads = next(
        rule["Name"]
        for rule in events.list_rules()["Rules"]
        if logical(rule["Name"]).startswith("pipeline-uploads")
    )
    events.disable_rule(Name=uploads)
    try:
        now = datetime.fromtimestamp(scene.ready.cloud.now(), UTC)
        ahead = 86_400 if now.hour >= FILE_BY else 0
        coming = datetime.fromtimestamp(now.timestamp() + ahead, UTC)
        run = scene.upload(BAD, f"{coming:%Y%m%d}")
        forward(scene.ready.cloud, FILE_BY, UTC)  # type: ignore[arg-type]
        scene.ready.cloud.tick()
        scene.ends(run)
        scene.ready.cloud.batch.withhold_capacity("*")
        late, upload = scene.uploaded(BAD, f"{coming:%Y%m%d}")
        scene.submit(upload.bucket, upload.key, upload.etag, upload.version_id)
        scene.wait(lambda: scene.jobs(late))
        unbegun = scene.upload(BAD, f"{coming:%Y%m%d}")
        forward(scene.ready.cloud, FINISHED_BY, UTC)  # type: ignore[arg-type]
        scene.ready.cloud.tick()
        scene.wait(lambda: scene.state(unbegun))
    finally:
        scene.ready.cloud.batch.withhold_capacity()
        events.enable_rule(Name=uploads)


def schedule_undelivered(scene: Scene) -> None:
    """A call of the schedules that their targets refuse."""
    with scene.failing("schedules", "Invoke", "StartExecution", code="ValidationException"):
        forward(scene.ready.cloud, FILE_BY, UTC)  # type: ignore[arg-type]
        scene.ready.cloud.tick()
        (function,) = (each for each in scene.functions if "day" in each)
        scene.wait(lambda: scene.depth(function), seconds=10)
    scene.empty(function)


def later_walks() -> dict[str, Walk]:
    """By name, those that put the clock forward: what functions do by their own clocks has to be
    drilled before.
    """
    return {"day": day, "schedule undelivered": schedule_undelivered}


def walks(scene: Scene) -> dict[str, Walk]:
    """By name, the others, the short ones first."""
    machine = bool(scene.ready.outputs["state_machine_arn"])
    return {
        **({"logging changed": logging_changed} if machine else {}),
        "budget used up": budget_used_up,
        "alarm": alarms,
        "refused file": refused_file,
        "beat": beat,
        "bad file": bad_file,
        "file gone": file_gone,
        "good file": good_file,
        "analysis ended": analysis_ended,
        "record gone": record_gone,
        **{
            f"dead letter of {function}": partial(dead_letter, function=function)
            for function in scene.functions
        },
        "messages kept": messages_kept,
        "findings kept": findings_kept,
        "upload broken": upload_broken,
        **({"deadline": deadline} if machine else {}),
        "answer lost": answer_lost,
        "dear job": dear_job,
    }
