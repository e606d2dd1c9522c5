"""Three nodes as processes of this machine; what AWS Batch would do to them is done by the
tests.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.workloads.analysis.conftest import Store
from tests.workloads.analysis.launch.cluster import NODE, Cluster
from tests.workloads.analysis.profile.serial import profile_of
from tests.workloads.analysis.tables import run_of
from tests.workloads.analysis.watched_server import after, put
from workloads.analysis.launch.exit_codes import LaunchExit
from workloads.variables import (
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_TOP,
    ENV_CHECKPOINT_FLOOR_SECONDS,
    ENV_NODE_MTBF_HOURS,
)

READY = (
    "import os; from mpi4py import MPI; c = MPI.COMM_WORLD; n = c.allreduce(1); print('rank',"
    " c.rank, 'of', n, 'is ready', flush=True)\n"
)
SLEEP = READY + "import time; time.sleep(600)"

Make = Callable[..., Cluster]


@pytest.fixture
def make(store: Store, request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Cluster] = []

    def make_cluster(**options: object) -> Cluster:
        run = run_of(request.node.name.replace("_", "-"))
        made.append(Cluster(store, run, **{"nodes": 3, "ranks": 1, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make_cluster
    for cluster in made:
        cluster.close()


def test_ranks_of_all_nodes_meet_and_keep_their_containers_environment(make):
    cluster = make(ranks=2)
    code = (
        READY + "print('node', os.environ['AWS_BATCH_JOB_NODE_INDEX'], 'has',"
        " os.environ['OMP_NUM_THREADS'], flush=True)"
    )
    cluster.start_all(code)
    assert [cluster.wait(node) for node in range(3)] == [0, 0, 0], cluster.log(0)
    lines = cluster.log(0).splitlines()
    assert sorted(line for line in lines if "is ready" in line) == [
        f"rank {rank} of 6 is ready" for rank in range(6)
    ]
    assert sorted(line for line in lines if line.startswith("node ")) == [
        f"node {node} has 1" for node in (0, 0, 1, 1, 2, 2)
    ]
    assert cluster.left_over() == []
    assert cluster.run.stage_record_key("analysis") in cluster.store.keys(
        cluster.run.results_prefix
    )


def test_the_whole_stage_over_three_nodes(make, store):
    values = np.random.default_rng(12).normal(size=(4, 5_500)).astype(np.float64)
    run = store.put_table("three-nodes", values, unit_rows=500)
    cluster = make()
    cluster.run = run
    for node in range(3):
        cluster.start(node, ["-m", "workloads.analysis"])
    assert [cluster.wait(node) for node in range(3)] == [0, 0, 0], cluster.log(0)
    success = store.success(run)
    assert (success.ranks, success.nodes) == (3, 3)
    assert success.digest == store.profile(run).digest == profile_of(values, unit_rows=500).digest
    records = [
        key for key in store.keys(run.results_prefix) if "/stages/" in key or "/errors/" in key
    ]
    assert records == [run.stage_record_key("analysis")]


def test_a_lost_child_ends_the_job(make):
    cluster = make()
    cluster.start_all(SLEEP)
    cluster.await_line("is ready", 3)
    started = time.monotonic()
    cluster.processes[2].kill()
    assert cluster.wait(0) == LaunchExit.CHILD_LOST, cluster.log(0)
    assert cluster.wait(1) == LaunchExit.CHILD_LOST
    assert time.monotonic() - started < 60
    assert cluster.error()["error"].startswith("child node 2 is gone")
    assert cluster.left_over() == []


def test_a_missing_child_and_a_wrong_token_end_at_the_deadline(make):
    cluster = make(deadline_seconds=8)
    cluster.start(0, [str(NODE), SLEEP])
    cluster.start(1, [str(NODE), SLEEP])
    cluster.start(2, [str(NODE), SLEEP], PIPELINE_LAUNCH_TOKEN="another secret")
    assert cluster.wait(2) == LaunchExit.REFUSED, cluster.log(2)
    assert cluster.wait(0) == LaunchExit.JOIN_DEADLINE, cluster.log(0)
    assert cluster.wait(1) == LaunchExit.JOIN_DEADLINE
    assert cluster.error()["error"] == "1 of 2 child nodes did not join within 8 s: 2"
    assert "refused" in cluster.log(0)
    assert "another secret" not in cluster.log(0) + cluster.log(2)
    assert cluster.left_over() == []


def test_a_ranks_exit_code_is_the_jobs(make):
    cluster = make()
    # Abort, as every failing rank of the program does: where one just vanishes, its peers may
    # notice first and end with Open MPI's 14
    cluster.start_all(READY + "if c.rank == 1: c.Abort(7)\nimport time; time.sleep(600)")
    assert cluster.wait(0) == 7, cluster.log(0)
    assert cluster.wait(2) == 7
    assert "mpirun ended with exit code 7" in cluster.error()["error"]
    assert cluster.left_over() == []


def test_an_uncaught_exception_on_one_rank_ends_all(make, store):
    values = np.random.default_rng(13).normal(size=(2, 900)).astype(np.float64)
    cluster = make()
    cluster.run = store.put_table("broken-unit", values, unit_rows=100, damaged_unit=8)
    started = time.monotonic()
    for node in range(3):
        cluster.start(node, ["-m", "workloads.analysis"])
    assert cluster.wait(0) == 1, cluster.log(0)
    assert time.monotonic() - started < 60
    assert cluster.error()["error"].startswith("rank 2 of 3 on node 2, unit 8: ")
    assert cluster.run.success_key not in store.keys(cluster.run.results_prefix)
    assert {cluster.wait(1), cluster.wait(2)} == {1}
    assert cluster.left_over() == []


def test_sigterm_stops_the_job_and_a_killed_main_node_stops_its_children(make):
    cluster = make()
    cluster.start_all(SLEEP)
    cluster.await_line("is ready", 3)
    cluster.processes[0].send_signal(signal.SIGTERM)
    assert cluster.wait(0) == 143, cluster.log(0)
    assert {cluster.wait(1), cluster.wait(2)} == {143}
    assert cluster.left_over() == []

    cluster = make()
    cluster.start_all(SLEEP)
    cluster.await_line("is ready", 3)
    cluster.processes[0].kill()
    assert {cluster.wait(1), cluster.wait(2)} == {LaunchExit.MAIN_LOST}, cluster.log(1)
    assert cluster.left_over() == []


def test_a_child_that_is_told_to_stop_lets_the_ranks_store_and_the_next_attempt_goes_on(
    make, store
):
    values = np.random.default_rng(14).normal(size=(12, 3_000)).astype(np.float64)
    run = store.put_table("told-to-stop", values, unit_rows=100)  # 30 units
    anomaly = {ENV_ANOMALY_MODE: "full", ENV_ANOMALY_TOP: "5"}
    often = {ENV_CHECKPOINT_FLOOR_SECONDS: "0.1", ENV_NODE_MTBF_HOURS: "0.00001"}
    cluster = make()
    cluster.run = run
    held = store.watch.await_moment(after(put("/query-"), put("/checkpoint.json")))
    for node in range(3):
        cluster.start(node, ["-m", "workloads.analysis"], **anomaly, **often)
    assert held.reached.wait(60), cluster.log(0)
    cluster.processes[2].send_signal(signal.SIGTERM)
    time.sleep(0.5)  # on its way to the ranks, which have most of their work before them
    held.go_on(carried_out=True)
    assert cluster.wait(0) == LaunchExit.CHILD_LOST, cluster.log(
        0
    )  # the exit code that is worth a retry
    assert cluster.wait(2) == 143
    assert cluster.error()["error"] == "child node 2 was told to stop, so the whole job ends"
    assert cluster.left_over() == []
    assert any("/query-" in key for key in store.keys(run.checkpoints_prefix))
    assert run.success_key not in store.keys(run.results_prefix)

    again = make(nodes=1)
    again.run = run
    again.start(0, ["-m", "workloads.analysis"], AWS_BATCH_JOB_ATTEMPT="2", **anomaly)
    assert again.wait(0) == 0, again.log(0)
    success = store.success(run)
    assert success.checkpoint["objects_resumed"] > 2
    assert store.keys(run.checkpoints_prefix) == {}
