"""The tags of what has a name instead of an id, which moto keeps beyond the end of the thing, and
those that moto's tagging API leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from localcloud.moto.backends import PARTITION, Backends

BORN_WITHOUT_TAGS: Final = {
    # service, operation -> parameter with the name
    ("logs", "CreateLogGroup"): "logGroupName",
    ("cloudwatch", "PutMetricAlarm"): "AlarmName",
    ("s3", "CreateBucket"): "Bucket",
    ("scheduler", "CreateScheduleGroup"): "Name",
    ("stepfunctions", "CreateStateMachine"): "name",
}
"""The creations before which moto may still have tags of a namesake."""


class Tags(Backends):
    """What is put right about them without HTTP."""

    def forget_tags_of_namesake(self, service: str, name: str) -> None:
        """Drops the tags of a thing of this service and name that was there once; of one that
        exists they stay.
        """
        backend, found, arn = self._named(service, name)
        if not found:
            backend.tagger.delete_all_tags_for_resource(arn)

    def tagged_beside(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """ARN and tags of what AWS's tagging API lists and moto's does not: AWS's has resources of
        all types but IAM's users and roles (its reference, "Supported services").
        """
        ec2 = self._regional("ec2")
        for kind, things in (
            ("elastic-ip", ((each.allocation_id, each) for each in ec2.addresses)),
            ("launch-template", ec2.launch_templates.items()),
            (
                "vpc-endpoint",
                (pair for pair in ec2.vpc_end_points.items() if pair[1].state != "deleted"),
            ),
            (
                "security-group-rule",
                (
                    (rule.id, rule)
                    for groups in ec2.groups.values()
                    for group in groups.values()
                    for rule in (*group.ingress_rules, *group.egress_rules)
                ),
            ),
        ):
            for identity, thing in list(things):
                yield self.arn("ec2", f"{kind}/{identity}"), _pairs(thing.get_tags())
        events = self._regional("events")
        for bus in list(events.event_buses.values()):
            for rule in list(bus.rules.values()):
                yield rule.arn, events.tagger.get_tag_dict_for_resource(rule.arn)
        ecr = self._regional("ecr")
        for repository in list(ecr.repositories.values()):
            yield repository.arn, _pairs(ecr.tagger.list_tags_for_resource(repository.arn)["tags"])
        iam = self._global("iam")
        for profile in list(iam.instance_profiles.values()):
            yield profile.arn, _pairs(profile.tags)
        for policy in list(iam.managed_policies.values()):
            if policy.tags:
                yield policy.arn, _pairs(policy.tags.values())

    def _named(self, service: str, name: str) -> tuple[Any, bool, str]:
        """The backend of the service, whether the thing exists there, and its ARN."""
        if service == "s3":
            backend = self._global(service)
            return backend, name in backend.buckets, f"arn:{PARTITION}:s3:::{name}"
        if service == "stepfunctions":
            backend = self._state_machine_backend()
            arn = self.arn("states", f"stateMachine:{name}")
            return backend, any(each.arn == arn for each in backend.state_machines), arn
        backend = self._regional(service)
        things, resource = {
            "logs": ("groups", f"log-group:{name}"),
            "cloudwatch": ("alarms", f"alarm:{name}"),
            "scheduler": ("schedule_groups", f"schedule-group/{name}"),
        }[service]
        return backend, name in getattr(backend, things), self.arn(service, resource)


def _pairs(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as moto lists them, whose members begin with a large or a small letter."""
    found = [{name.lower(): value for name, value in tag.items()} for tag in tags]
    return {tag["key"]: tag["value"] for tag in found}
