"""A change that replaces a compute environment: one deployment does it, the queue stays, and no
running job is lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from components import environment_hooks
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy
from localcloud.deployment.engine.state import State
from localcloud.deployment.provider import batch_updates
from localcloud.protocol.wire import Call
from tests.localcloud.conftest import until
from tests.support.program import write_part

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
SECTION = "batch-reference:environments"
CE, QUEUE = "aws:batch/computeEnvironment:ComputeEnvironment", "aws:batch/jobQueue:JobQueue"
PATIENCE_SECONDS = 120
MACHINE_VCPUS = 36
"""Of a c5n.9xlarge; the environment `nodes` takes two."""


LOGS = "site"


class Site:
    """The local stack as far as its queues in an AWS of its own, and jobs on its queue `nodes`.
    What comes after the queues is in tests/conformance/book.

    It has no EFA, which would demand a placement group.
    """

    def __init__(self, cloud: LocalCloud, directory: Path) -> None:
        self.cloud, self._directory = cloud, directory
        self._program = write_part(directory / "program", "local", "queues")
        cloud.client("logs").create_log_group(logGroupName=LOGS)
        self._grouped = True
        self.state = State()
        first = self.deploy()
        self.queue = str(first.resource(QUEUE, "queues-nodes").outputs["arn"])

    @property
    def batch(self) -> Any:
        return self.cloud.client("batch")

    def deploy(self, **nodes: object) -> Deployment:
        """Deploys the stack, with changes of the environment `nodes`, over what there is."""
        section = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"][SECTION]
        section["nodes"] |= {"efa": False, "placement_group": self._grouped, **nodes}
        config, secrets = (
            {SECTION: json.dumps(section)},
            {"batch-reference:slack-webhook-url": self.cloud.slack.url},
        )
        try:
            deployment = deploy(
                self._program,
                "local",
                self.cloud.client,
                config=config,
                secrets=secrets,
                previous=self.state,
            )
        except DeploymentError as error:
            self.state = error.state or self.state
            raise
        self.state = deployment.state
        return deployment

    def replace(self, **nodes: object) -> Deployment:
        """Takes the placement group away, or brings it back: the provider can do neither in
        place.
        """
        self._grouped = not self._grouped
        return self.deploy(**nodes)

    def submit(self, gate: str) -> str:
        """A job that fills one machine until the gate opens."""
        path = str(self._directory / gate)
        code = f"import pathlib, time\nwhile not pathlib.Path({path!r}).exists(): time.sleep(0.05)"
        sizes = [{"type": "VCPU", "value": str(MACHINE_VCPUS)}, {"type": "MEMORY", "value": "1024"}]
        log = {
            "logDriver": "awslogs",
            "options": {"awslogs-group": LOGS, "awslogs-stream-prefix": "x"},
        }
        container = {
            "image": "x/y:1",
            "command": ["python", "-c", code],
            "resourceRequirements": sizes,
            "logConfiguration": log,
        }
        definition = self.batch.register_job_definition(
            jobDefinitionName=gate, type="container", containerProperties=container
        )
        submitted = self.batch.submit_job(
            jobName=gate, jobQueue=self.queue, jobDefinition=definition["jobDefinitionArn"]
        )
        return str(submitted["jobId"])

    def open_gate(self, gate: str) -> None:
        (self._directory / gate).touch()

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.batch.describe_jobs(jobs=[job])["jobs"][0])

    def wait(self, job: str, *statuses: str) -> dict[str, Any]:
        return dict(
            until(
                lambda: (now := self.job(job))["status"] in statuses and now,
                what=lambda: self.job(job),
                seconds=PATIENCE_SECONDS,
            )
        )

    def environments(self) -> list[str]:
        """The ARNs that the queue names."""
        found = self.batch.describe_job_queues(jobQueues=[self.queue])["jobQueues"][0]
        return [each["computeEnvironment"] for each in found["computeEnvironmentOrder"]]

    def forget_relation(self, environment: str) -> None:
        """AWS sees at last that no queue names the environment."""
        found = self.cloud.batch.store.environment(environment)
        if found is not None:
            found.related_until = 0.0

    def exists(self, environment: str) -> bool:
        return bool(
            self.batch.describe_compute_environments(computeEnvironments=[environment])[
                "computeEnvironments"
            ]
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with LocalCloud(directory, images={"x/*": directory}) as cloud:
        cloud.batch.store.relation_seconds = 0.0  # but where a test is about that
        yield Site(cloud, directory)


def _steps(deployment: Deployment) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for step in deployment.steps:
        found.setdefault(step.operation, set()).add(step.name)
    return found


def test_one_deployment_replaces_an_environment_while_jobs_run_and_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = site.environments()
    running = [site.submit("first"), site.submit("first")]
    for job in running:
        site.wait(job, "RUNNING")
    waiting = site.submit("first")
    site.wait(waiting, "RUNNABLE")
    calls: list[str] = []

    def watch(call: Call, _: object) -> None:
        calls.append(call.operation)
        if calls.count("DeleteComputeEnvironment") == 2:
            site.forget_relation(old)

    monkeypatch.setattr(site.cloud.batch.store, "relation_seconds", 3600.0)
    site.cloud.faults.append(watch)
    with ThreadPoolExecutor() as executor:
        future = executor.submit(site.replace)
        try:
            # the old environment is full and stays so: only the new one can take the job that waits
            until(
                lambda: (
                    future.done()
                    or (
                        calls.count("DescribeClusters") > 1
                        and site.job(waiting)["status"] == "RUNNING"
                    )
                ),
                what=lambda: site.job(waiting),
                seconds=PATIENCE_SECONDS,
            )
            assert not future.done(), future.result()
            assert "DeleteComputeEnvironment" not in calls
            assert site.environments() != [old]
            assert site.exists(old)
        finally:
            site.open_gate("first")
        after = future.result(timeout=PATIENCE_SECONDS)
    site.cloud.faults.clear()
    assert calls.count("DeleteComputeEnvironment") == 2  # AWS refused the first
    (new,) = site.environments()
    assert new != old
    assert new == after.resource(CE, "environments-nodes").outputs["arn"]
    assert after.resource(QUEUE, "queues-nodes").outputs["arn"] == site.queue
    assert not site.exists(old)
    for job in (*running, waiting):
        ended = site.wait(job, "SUCCEEDED", "FAILED")
        assert (ended["status"], len(ended["attempts"])) == ("SUCCEEDED", 1)
    steps = _steps(after)
    assert steps["replace"] == steps["delete replaced"] == {"environments-nodes"}
    assert "queues-nodes" in steps["update"]
    assert steps["delete"] == {"environments-nodes-placement"}
    assert "create" not in steps
    assert after.state.pending_deletion == ()
    assert any("deleted when they have ended" in text for _, text in after.messages)
    assert _steps(site.deploy()).keys() == {"same"}


def test_without_the_error_hook_the_deletion_fails_and_the_next_deployment_ends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: object) -> bool:
        return False

    (old,) = site.environments()
    with monkeypatch.context() as patch:
        patch.setattr(environment_hooks, "released", never)
        patch.setattr(site.cloud.batch.store, "relation_seconds", 600.0)
        with pytest.raises(
            DeploymentError, match=r"not deleted: .*found existing JobQueue relationship\."
        ):
            site.replace()
    assert [(half.name, half.outputs["arn"]) for half in site.state.pending_deletion] == [
        ("environments-nodes", old)
    ]
    assert site.environments() != [old]  # the queue works already
    site.forget_relation(old)
    assert _steps(site.deploy())["delete replaced"] == {"environments-nodes"}
    assert site.state.pending_deletion == ()
    assert not site.exists(old)


def test_a_queue_of_somebody_else_fails_in_bounded_time_and_is_pointed_at(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_hooks, "RETRY_PAUSES", (0.01, 0.01))
    (old,) = site.environments()
    order = [{"order": 1, "computeEnvironment": old}]
    foreign = site.batch.create_job_queue(
        jobQueueName="somebody-elses", priority=1, computeEnvironmentOrder=order
    )["jobQueueArn"]
    with pytest.raises(DeploymentError, match="found existing JobQueue relationship"):
        site.replace()
    assert site.exists(old)
    site.batch.update_job_queue(jobQueue=foreign, state="DISABLED")
    site.batch.delete_job_queue(jobQueue=foreign)
    monkeypatch.undo()
    site.deploy()
    assert not site.exists(old)


def test_jobs_are_stopped_only_where_the_config_says_so(site: Site) -> None:
    (old,) = site.environments()
    job = site.submit("never")
    site.wait(job, "RUNNING")
    site.replace(terminate_jobs_on_update=True)
    assert not site.exists(old)
    assert site.wait(job, "FAILED")["statusReason"].startswith("Host EC2")


def status(site: Site) -> str:
    (arn,) = site.environments()
    found = site.batch.describe_compute_environments(computeEnvironments=[arn])
    return str(found["computeEnvironments"][0]["status"])


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's 20 minutes pass in a moment, and the hook looks again soon."""
    monkeypatch.setattr(batch_updates, "UPDATE_MINUTES", 0.01)
    monkeypatch.setattr(environment_hooks, "_LOOK_SECONDS", 0.1)


@pytest.mark.usefixtures("hurried")
def test_an_update_in_place_waits_for_jobs_longer_than_the_provider(site: Site) -> None:
    (before,) = site.environments()
    job = site.submit("long")
    site.wait(job, "RUNNING")
    with ThreadPoolExecutor() as executor:
        future = executor.submit(site.deploy, root_volume_gib=70)
        try:
            until(
                lambda: future.done() or status(site) == "UPDATING",
                what=lambda: status(site),
                seconds=PATIENCE_SECONDS,
            )
            with pytest.raises(ClientError, match=r"Cannot update, resource is being modified\."):
                site.batch.update_compute_environment(
                    computeEnvironment=before, computeResources={"maxvCpus": 72}
                )
            time.sleep(2)  # longer than the provider waits
            assert not future.done(), future.result()
        finally:
            site.open_gate("long")
        after = future.result(timeout=PATIENCE_SECONDS)
    assert "environments-nodes" in _steps(after)["update"]
    assert site.environments() == [before]
    assert status(site) == "VALID"
    ended = site.wait(job, "SUCCEEDED", "FAILED")
    assert (ended["status"], len(ended["attempts"])) == ("SUCCEEDED", 1)
    assert any("is UPDATING until the jobs" in text for _, text in after.messages)
    assert _steps(site.deploy(root_volume_gib=70)).keys() == {"same"}


@pytest.mark.usefixtures("hurried")
def test_without_the_wait_the_update_fails_and_the_next_deployment_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bool:
        return False

    job = site.submit("late")
    site.wait(job, "RUNNING")
    with monkeypatch.context() as patch:
        patch.setattr(environment_hooks, "_updated", never)
        with pytest.raises(
            DeploymentError, match="timeout while waiting for state to become 'VALID'"
        ):
            site.deploy(root_volume_gib=80)
        with pytest.raises(DeploymentError, match="resource is being modified"):
            site.deploy(root_volume_gib=90)
    site.open_gate("late")
    site.wait(job, "SUCCEEDED")
    site.deploy(root_volume_gib=90)
    assert status(site) == "VALID"


def test_jobs_lose_their_instances_when_the_time_of_an_update_is_over(site: Site) -> None:
    job = site.submit("forever")
    site.wait(job, "RUNNING")
    with ThreadPoolExecutor() as executor:
        future = executor.submit(site.deploy, root_volume_gib=110)
        until(
            lambda: status(site) == "UPDATING", what=lambda: status(site), seconds=PATIENCE_SECONDS
        )
        (arn,) = site.environments()
        found = site.cloud.batch.store.environment(arn)
        assert found is not None
        assert 29 * 60 < found.outdated_until - time.monotonic() <= 30 * 60
        found.outdated_until = 0.0
        future.result(timeout=PATIENCE_SECONDS)
    assert site.wait(job, "FAILED")["statusReason"].startswith("Host EC2")


def test_a_change_of_the_number_of_vcpus_waits_for_nobody(site: Site) -> None:
    job = site.submit("busy")
    site.wait(job, "RUNNING")
    site.deploy(root_volume_gib=110, max_vcpus=108)
    assert status(site) == "VALID"
    assert site.job(job)["status"] == "RUNNING"
    site.open_gate("busy")
    site.wait(job, "SUCCEEDED")


def test_an_image_of_ones_own_comes_and_goes(site: Site) -> None:
    """The provider leaves an image that is no longer named; the program has the environment made
    anew.
    """

    def image() -> str | None:
        found = site.batch.describe_compute_environments(computeEnvironments=site.environments())
        (configuration,) = found["computeEnvironments"][0]["computeResources"]["ec2Configuration"]
        return str(configuration["imageIdOverride"]) if "imageIdOverride" in configuration else None

    replaced = {"replace": {"environments-nodes"}, "delete replaced": {"environments-nodes"}}
    for wanted, steps in (
        ("ami-11111111", replaced),
        ("ami-22222222", {}),
        (None, replaced),
    ):
        more = {"image_id": wanted} if wanted else {}
        done = _steps(site.deploy(**more))
        assert image() == wanted
        assert {
            name: done[name] for name in ("replace", "delete replaced") if name in done
        } == steps
