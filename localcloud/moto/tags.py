"""The tags of what has a name instead of an id: moto keeps them beyond the end of the thing."""

from __future__ import annotations

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
