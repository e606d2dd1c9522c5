"""The Batch API: every operation that the program, its operators and the CLI use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from localcloud.batch import (
    definitions,
    descriptions,
    environments,
    infrastructure_updates,
    listing,
    queues,
    submission,
    tags,
)
from localcloud.batch.listing import named, page
from localcloud.batch.plane import DataPlane
from localcloud.batch.records import Job, Store, client_error
from localcloud.protocol.wire import WireError

Params = dict[str, Any]
_MOST_AT_ONCE: Final = 50
_JOB_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::\d+)?")


class BatchApi:
    """Answers Batch calls from the store and the data plane.

    Args:
        store: All records.
        plane: The data plane.
        placement_groups: EC2 placement groups by name, which moto does not have.

    Attributes:
        operations: By name, those that it has.
    """

    def __init__(
        self,
        store: Store,
        plane: DataPlane,
        placement_groups: dict[str, Any],
        others: Callable[[], Iterable[tuple[str, Mapping[str, str]]]],
    ) -> None:
        """`others` tells ARN and tags of what else moto does not have."""
        self._store, self._others = store, others
        self._plane = plane
        self._groups = placement_groups
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreateComputeEnvironment": self._create_environment,
            "UpdateComputeEnvironment": self._update_environment,
            "DeleteComputeEnvironment": self._delete_environment,
            "DescribeComputeEnvironments": self._describe_environments,
            "CreateJobQueue": self._create_queue,
            "UpdateJobQueue": self._update_queue,
            "DeleteJobQueue": self._delete_queue,
            "DescribeJobQueues": self._describe_queues,
            "GetJobQueueSnapshot": self._snapshot,
            "CreateSchedulingPolicy": self._create_policy,
            "UpdateSchedulingPolicy": self._update_policy,
            "DeleteSchedulingPolicy": self._delete_policy,
            "DescribeSchedulingPolicies": self._describe_policies,
            "ListSchedulingPolicies": lambda params: page(
                list(store.policies), params, "schedulingPolicies", lambda arn: {"arn": arn}
            ),
            "RegisterJobDefinition": self._register,
            "DeregisterJobDefinition": self._deregister,
            "DescribeJobDefinitions": self._describe_definitions,
            "SubmitJob": self._submit,
            "DescribeJobs": self._describe_jobs,
            "ListJobs": lambda params: listing.list_jobs(store, params),
            "CancelJob": self._cancel,
            "TerminateJob": self._terminate,
            "CancelJobs": lambda params: self._each(params, plane.states.cancel),
            "TerminateJobs": lambda params: self._each(params, plane.terminate),
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda params: {
                "tags": dict(store.tagged(params["resourceArn"]))
            },
        }

    def answer(self, operation: str, params: Params) -> Params:
        """The operation's output. Raises WireError."""
        handler = self.operations.get(operation)
        if handler is None:
            sentence = (
                f"the AWS in memory has no operation {operation} of batch; docs/services.md lists"
                " what it has"
            )
            raise WireError("NotImplemented", sentence, status=501)
        if operation.startswith(("Create", "Register", "Submit", "Tag")):
            tags.check(params.get("tags"))
        with self._store.lock:
            return handler(params)

    def tagged(self, params: Params, body: bytes) -> bytes:
        """Moto's answer to the tagging API's GetResources, with what moto does not have."""
        with self._store.lock:
            found = (*tags.resources(self._store), *self._others())
            own = [(arn, dict(held)) for arn, held in found]
        return tags.with_more(own, params, body)

    def clusters(self, params: Params) -> Params:
        """ECS's DescribeClusters, for the clusters that Batch keeps behind its environments."""
        with self._store.lock:
            known = [
                environments.describe_cluster(self._store, each)
                for each in self._store.environments.values()
            ]
        wanted = params.get("clusters") or []
        found = [
            each for each in known if each["clusterArn"] in wanted or each["clusterName"] in wanted
        ]
        names = {name for each in found for name in (each["clusterArn"], each["clusterName"])}
        return {
            "clusters": found,
            "failures": [
                {"arn": each, "reason": "MISSING"} for each in wanted if each not in names
            ],
        }

    # ---- environments, queues, policies ----------------------------------------------------------

    def _create_environment(self, params: Params) -> Params:
        environment = environments.create(self._store, params, self._groups)
        self._plane.wake()
        return {
            "computeEnvironmentName": environment.name,
            "computeEnvironmentArn": environment.arn,
        }

    def _update_environment(self, params: Params) -> Params:
        self._settle()
        environment = environments.update(self._store, params, self._groups)
        self._settle()
        self._plane.wake()
        return {
            "computeEnvironmentName": environment.name,
            "computeEnvironmentArn": environment.arn,
        }

    def _settle(self) -> None:
        """Infrastructure updates go on: they end with the jobs on former instances, and these with
        the time that they have.
        """
        for environment in list(self._store.environments.values()):
            for job in infrastructure_updates.settle(self._store, environment):
                self._lose_hosts(job)

    def _lose_hosts(self, job: Job) -> None:
        for node in range(len(job.nodes)):
            self._plane.lose_host(job.id, node=node)

    def _delete_environment(self, params: Params) -> Params:
        self._settle()
        for job in environments.delete(self._store, params.get("computeEnvironment", "")):
            self._lose_hosts(job)
        return {}

    def _describe_environments(self, params: Params) -> Params:
        self._settle()
        wanted = named(params, "computeEnvironments")
        found = (
            [self._store.environment(each) for each in wanted]
            if wanted
            else list(self._store.environments.values())
        )
        return page(
            [each for each in found if each is not None],
            params,
            "computeEnvironments",
            environments.describe,
        )

    def _create_queue(self, params: Params) -> Params:
        queue = queues.create(self._store, params)
        return {"jobQueueName": queue.name, "jobQueueArn": queue.arn}

    def _update_queue(self, params: Params) -> Params:
        queue = queues.update(self._store, params)
        self._plane.wake()
        return {"jobQueueName": queue.name, "jobQueueArn": queue.arn}

    def _delete_queue(self, params: Params) -> Params:
        queue = queues.delete(self._store, params.get("jobQueue", ""))
        if queue is not None:
            self._plane.terminate_queue(queue)
        return {}

    def _describe_queues(self, params: Params) -> Params:
        wanted = named(params, "jobQueues")
        found = (
            [self._store.queue(each) for each in wanted]
            if wanted
            else list(self._store.queues.values())
        )
        return page(
            [each for each in found if each is not None], params, "jobQueues", queues.describe
        )

    def _snapshot(self, params: Params) -> Params:
        queue = queues.existing(self._store, params.get("jobQueue", ""))
        jobs = self._plane.states.runnable(queue)[:100]
        front = [
            {"jobArn": job.arn, "earliestTimeAtPosition": descriptions.millis(job.runnable_since)}
            for job in jobs
        ]
        now = descriptions.millis(self._plane.now())
        return {
            "frontOfQueue": {"jobs": front, "lastUpdatedAt": now},
            "queueUtilization": {
                **descriptions.utilization(self._plane.holding(queue), by_share=bool(queue.policy)),
                "lastUpdatedAt": now,
            },
        }

    def _create_policy(self, params: Params) -> Params:
        policy = queues.create_policy(self._store, params)
        return {"name": policy.name, "arn": policy.arn}

    def _update_policy(self, params: Params) -> Params:
        queues.update_policy(self._store, params)
        self._plane.wake()
        return {}

    def _delete_policy(self, params: Params) -> Params:
        queues.delete_policy(self._store, params.get("arn", ""))
        return {}

    def _describe_policies(self, params: Params) -> Params:
        found = [self._store.policy(arn) for arn in named(params, "arns")]
        return {
            "schedulingPolicies": [
                queues.describe_policy(each) for each in found if each is not None
            ]
        }

    # ---- definitions -----------------------------------------------------------------------------

    def _register(self, params: Params) -> Params:
        definition = definitions.register(self._store, params)
        return {
            "jobDefinitionName": definition.name,
            "jobDefinitionArn": definition.arn,
            "revision": definition.revision,
        }

    def _deregister(self, params: Params) -> Params:
        reference = params.get("jobDefinition", "")
        definition = self._store.definition(reference)
        if definition is None:
            raise client_error(f"Job definition {reference} does not exist")
        definition.status = "INACTIVE"
        return {}

    def _describe_definitions(self, params: Params) -> Params:
        named(params, "jobDefinitions")
        return page(
            definitions.select(self._store, params), params, "jobDefinitions", definitions.describe
        )

    # ---- jobs ------------------------------------------------------------------------------------

    def _submit(self, params: Params) -> Params:
        for member in ("jobName", "jobQueue", "jobDefinition"):
            if not params.get(member):
                raise client_error(f"{member} is required")
        job = submission.build(self._store, params, self._plane.now())
        self._plane.states.add(job)
        return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}

    def _describe_jobs(self, params: Params) -> Params:
        details = []
        for reference in named(params, "jobs"):
            job_id, _, node = reference.rsplit("/", 1)[-1].partition("#")
            job = self._store.jobs.get(job_id)
            if job is None:
                continue
            if not node:
                details.append(descriptions.describe(job))
            elif job.multinode and node.isdigit() and int(node) < len(job.nodes):
                details.append(descriptions.describe_node(job, int(node)))
        return {"jobs": details}

    def _cancel(self, params: Params) -> Params:
        self._plane.states.cancel(self._job(params), params["reason"])
        return {}

    def _terminate(self, params: Params) -> Params:
        self._plane.terminate(self._job(params), params["reason"])
        return {}

    def _each(self, params: Params, end: Callable[[Job, str], None]) -> Params:
        """CancelJobs and TerminateJobs: each job by itself; one that cannot be found counts as
        processed (API reference).
        """
        jobs, reason = params.get("jobs") or [], params.get("reason")
        if not reason:
            raise client_error("reason is required")
        if not 1 <= len(jobs) <= _MOST_AT_ONCE:
            raise client_error(f"jobs has {len(jobs)} entries; 1 to {_MOST_AT_ONCE} are allowed")
        answer: Params = {"successful": [], "errors": []}
        for job_id in jobs:
            if not _JOB_ID.fullmatch(job_id):
                said = f"{job_id} is not the id of a job"
                error = {"job": job_id, "code": "ValidationException", "message": said}
                answer["errors"].append(error)
                continue
            if job_id in self._store.jobs:
                end(self._store.jobs[job_id], reason)
            answer["successful"].append(job_id)
        return answer

    def _job(self, params: Params) -> Job:
        if not params.get("reason"):
            raise client_error("reason is required")
        job = self._store.jobs.get(params.get("jobId", ""))
        if job is None:
            raise client_error(f"Job {params.get('jobId')} does not exist")
        return job

    # ---- tags ------------------------------------------------------------------------------------

    def _tag(self, params: Params) -> Params:
        kept = self._store.tagged(params["resourceArn"])
        tags.check({**kept, **params["tags"]})
        kept.update(params["tags"])
        return {}

    def _untag(self, params: Params) -> Params:
        kept = self._store.tagged(params["resourceArn"])
        for key in params.get("tagKeys", []):
            kept.pop(key, None)
        return {}
