"""Where somebody learns that a role lacks an action: what `bench.permissions` looks at after a call
was refused.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from functools import cached_property

from bench.permission_scene import Scene
from cli.doctor.function_checks import schedules
from cli.doctor.patient import Patient
from cli.why.account import Account


class Telling:
    """What was told since this was made, of one action that a role lacks.

    Args:
        scene: the stack.
        role: name of the role.
        action: the action.
    """

    def __init__(self, scene: Scene, role: str, action: str) -> None:
        self._scene, self._role, self._action = scene, role, action
        self._slack = len(scene.ready.cloud.slack.messages)
        self._said = len(scene.said)
        self._since_ms = int(time.time() * 1000)

    def wait(self, seconds: float) -> str:
        """Where it is told, empty where it is not within this time: to people, or in a log to which
        an alarm sends them.
        """
        end, written = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            if told := self._to_people():
                return told
            # a function may write down what it tells in a moment, of a job for example: its own log
            # counts for its own role
            written = written or (self._in_a_log() if self._own else "")
            self._scene.ready.cloud.tick()
            if (alarm := self._alarm()) and (written or "lost-letters" in alarm):
                return f"{written}{', ' if written else ''}alarm {alarm}"
            time.sleep(0.3)
        if "letters" in self._own and (said := self._by_doctor()):
            return said
        written = written or self._in_a_log()
        messages = self._scene.ready.cloud.slack.messages[self._slack :]
        if written and any(" failed" in json.dumps(message) for message in messages):
            return f"{written}, where Slack leads to"  # every message of a failed stage does
        return f"{written}, no alarm" if written else ""

    def _by_doctor(self) -> str:
        """What `doctor` says of the schedules, whose failures EventBridge Scheduler tells nobody
        where it may not even keep them.
        """
        ready = self._scene.ready
        account = Account(client=ready.client, outputs=ready.outputs, now=ready.cloud.now)
        found = [finding.what for finding in schedules(Patient(account)) if finding.fix]
        return "doctor" if any(self._action in what for what in found) else ""

    def _to_people(self) -> str:
        scene = self._scene
        texts = map(json.dumps, scene.ready.cloud.slack.messages[self._slack :])
        if any(self._action in text for text in texts):
            return "Slack"
        if scene.said[self._said :]:
            return f"the answer: {scene.said[-1].rpartition(': ')[2]}"
        return ""

    @cached_property
    def _own(self) -> dict[str, set[str]]:
        """What is the role's own, by the names of functions, queues of dead letters and state
        machines.
        """
        scene = self._scene
        mine = [each for each in scene.functions.values() if each["role"] == self._role]
        day = [each for name, each in scene.functions.items() if "day-look" in name]
        if "day-schedules" in self._role:
            return {"letters": {each["letters"] for each in day}}
        if "day-runs" in self._role:
            return {"machine": {scene.ready.outputs["day_machine_arn"]}}
        if mine:
            return {"name": {each["name"] for each in mine}}
        return {}

    def _in_a_log(self) -> str:
        scene, logs = self._scene, self._scene.client("logs")
        for name in scene.functions if "letters" in self._own else ():
            if any(self._action in text for text in scene.letters(name)):
                return f"dead letter of {name}"
        for machine in self._own.get("machine", ()):
            if any(self._action in cause for cause in self._causes(machine)):
                return "cause of the execution"
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                name = group["logGroupName"]
                events = logs.filter_log_events(logGroupName=name, startTime=self._since_ms)
                if any(self._action in event["message"] for event in events["events"]):
                    return f"log of {name.rsplit('/', 1)[-1]}"
        return ""

    def _causes(self, machine: str) -> Iterator[str]:
        """Why executions failed that have begun since."""
        machines = self._scene.client("stepfunctions")
        failed = machines.list_executions(stateMachineArn=machine, statusFilter="FAILED")
        for each in failed["executions"]:
            if each["startDate"].timestamp() * 1000 >= self._since_ms:
                found = machines.describe_execution(executionArn=each["executionArn"])
                # what its parts failed on stands in their own logs, which the rehearsal does not
                # have
                whole = found.get("error") == "FilesNotFollowed"
                yield self._action if whole else str(found.get("cause"))

    def _alarm(self) -> str:
        """An alarm on what is the role's own; empty where none rings."""
        about = set().union(*self._own.values()) if self._own else set()
        for each in self._scene.client("cloudwatch").describe_alarms(StateValue="ALARM")[
            "MetricAlarms"
        ]:
            if about & {dimension["Value"] for dimension in each.get("Dimensions", ())}:
                label = str(each["AlarmName"]).partition("alarms-")[2]
                return re.sub("-[0-9a-f]{7}$", "", label)
        return ""
