"""Checks of AWS Batch: environments, queues, and what the jobs of the stages need to start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.doctor.patient import UP, Patient, error, ok, warning
from cli.questions import Finding
from cli.why.network import way_causes
from cli.why.starting import ASKED, start_causes
from components.context import STACK_TAG
from components.prepared_images import CONTENT_TAG, ENVIRONMENT_TAG


def environments(patient: Patient) -> Iterator[Finding]:
    """Each compute environment is there, ENABLED and VALID, with the newest AMI of AWS Batch."""
    there = {each["computeEnvironmentName"]: each for each in patient.environments}
    if not patient.account.tells("batch", "describe_compute_environments"):
        return
    for name, physical in (patient.account.outputs.get("environments") or {}).items():
        found = there.get(physical)
        if found is None:
            yield error("compute", f"environment {name} ({physical}) does not exist", UP)
        elif found["status"] == "INVALID":
            fix = (
                f"{patient.account.command('why <queue>')}; docs/runbook.md, An "
                "environment is INVALID"
            )
            yield error(
                "compute", f"environment {name} is INVALID: {found.get('statusReason')}", fix
            )
        elif found["state"] != "ENABLED":
            fix = (
                "aws batch update-compute-environment --compute-environment "
                f"{physical} --state ENABLED"
            )
            yield warning("compute", f"environment {name} is disabled and takes no jobs", fix)
        else:
            yield from _image(patient, name, physical, found)
        for cause in way_causes(patient.account, found) if found is not None else ():
            yield error("compute", f"environment {name}: {cause.what}", cause.fix)


def _image(
    patient: Patient, name: str, physical: str, environment: Mapping[str, Any]
) -> Iterator[Finding]:
    resources = environment.get("computeResources") or {}
    own = [
        each["imageIdOverride"]
        for each in resources.get("ec2Configuration") or []
        if each.get("imageIdOverride")
    ]
    if own:
        yield from _own_image(patient, name, own[0])
    old = [
        each["imageType"]
        for each in resources.get("ec2Configuration") or []
        if each.get("batchImageStatus") == "UPDATE_AVAILABLE"
    ]
    if old:
        fix = (
            f"aws batch update-compute-environment --compute-environment {physical} "
            "--compute-resources updateToLatestImageVersion=true"
        )
        yield warning(
            "compute", f"environment {name} boots an outdated AMI of {', '.join(old)}", fix
        )
    else:
        used = f", {resources.get('desiredvCpus', 0)} of {resources.get('maxvCpus')} vCPUs"
        yield ok(
            "environments", f"{name} is {environment['status']} and {environment['state']}{used}"
        )


def _own_image(patient: Patient, name: str, image: str) -> Iterator[Finding]:
    """An AMI that is not AWS Batch's is there, and where the stack has it made, it is the newest
    with what is on it.
    """

    def images(**filters: str) -> list[dict[str, Any]]:
        wanted = [{"Name": key, "Values": [value]} for key, value in filters.items()]
        return patient.account.listed("ec2", "describe_images", "Images", Filters=wanted)

    there = images(**{"image-id": image})
    if not patient.account.tells("ec2", "describe_images"):
        return
    if not there:
        fix = (
            "where the environment has a prepared_image, `pulumi up` takes the newest that is"
            " there; else correct its image_id"
        )
        yield error("compute", f"environment {name} boots AMI {image}, which does not exist", fix)
        return
    tags = {each["Key"]: each["Value"] for each in there[0].get("Tags") or []}
    if CONTENT_TAG not in tags:
        return
    same = images(**{f"tag:{tag}": tags[tag] for tag in (CONTENT_TAG, ENVIRONMENT_TAG, STACK_TAG)})
    newest = max(same, key=lambda each: str(each["CreationDate"]))
    if newest["ImageId"] != image:
        message = (
            f"environment {name} boots AMI {image} of {there[0]['CreationDate'][:10]}, and its"
            f" renewal {newest['ImageId']} of {newest['CreationDate'][:10]} waits"
        )
        yield warning("compute", message, "pulumi up takes it")


def queues(patient: Patient) -> Iterator[Finding]:
    """Each job queue is there, ENABLED and VALID."""
    found = {
        each["jobQueueName"]: each
        for each in patient.account.listed("batch", "describe_job_queues", "jobQueues")
    }
    if not patient.account.tells("batch", "describe_job_queues"):
        return
    for name, physical in (patient.account.outputs.get("queues") or {}).items():
        queue = found.get(physical)
        if queue is None:
            yield error("queues", f"{name} ({physical}) does not exist", UP)
        elif queue["status"] == "INVALID":
            yield error("queues", f"{name} is INVALID: {queue.get('statusReason')}", UP)
        elif queue["state"] != "ENABLED":
            resume = patient.account.command(f"resume --queue {name}")
            fix = f"{resume}; where the guard stopped it, see docs/runbook.md first"
            yield error("queues", f"{name} is disabled: it takes no jobs", fix)
        else:
            yield ok("queues", f"{name} is {queue['status']} and {queue['state']}")


def jobs(patient: Patient) -> Iterator[Finding]:
    """What the containers of each stage need to start is there: image, roles, secrets, log
    group.
    """
    for stage, definition in (patient.account.outputs.get("stage_job_definitions") or {}).items():
        found = patient.account.listed(
            "batch",
            "describe_job_definitions",
            "jobDefinitions",
            jobDefinitionName=definition,
            status="ACTIVE",
        )
        if not patient.account.tells("batch", "describe_job_definitions"):
            return
        if not found:
            yield error("jobs", f"{stage}: no active revision of job definition {definition}", UP)
            continue
        newest = max(found, key=lambda each: int(each["revision"]))
        job = {
            **newest,
            "container": newest.get("containerProperties") or {},
            "platformCapabilities": newest.get("platformCapabilities") or [],
        }
        causes = start_causes(patient.account, job, patient.environments)
        for cause in causes:
            yield error("jobs", f"{stage}: {cause.what}", cause.fix)
        if not causes and all(patient.account.tells(*each) for each in ASKED):
            yield ok(
                "jobs",
                f"{stage}: image, roles, secrets and log group are there "
                f"(revision {newest['revision']})",
            )
