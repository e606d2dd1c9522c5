"""Exchanges between devices, with a device and an NCCL that need no GPU, over the ring of real
ranks.
"""

from __future__ import annotations

import pytest

from tests.workloads.analysis.distributed import mpirun

ALL_WELL = ""
pytestmark = mpirun.RING_OF_RANKS


@pytest.fixture(scope="module")
def said():
    return mpirun.said()["choices"]


@pytest.mark.parametrize("name", ["cuda-aware", "nccl"])
def test_an_exchange_that_passes_its_test_is_used_and_gives_the_same_bits(said, name):
    assert said[name]["used"] == said[name]["asked"] == name
    assert said[name]["refused"] == ALL_WELL
    assert said[f"{name} search"]["wrong"] == []
    # four units of this rank, and what eight visitors found here; the four visitors that go on from
    # here are on the device already
    assert said[f"{name} uploads"] == 4 + 8


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("cuda-aware bit", "rank 1: the test message of rank 2 arrived with other bits"),
        (
            "cuda-aware absent",
            (
                "rank 1: this MPI (Open MPI v5.0.11) does not take device memory; it would have to"
                " be built with CUDA"
            ),
        ),
        ("nccl bit", "rank 1: the test message of rank 2 arrived with other bits"),
        ("nccl silent", "the test message of rank 1 did not arrive within 1 s"),
        ("nccl lost", "the ranks did not find one another within 1 s"),
        ("nccl broken", "rank 1: RuntimeError: NCCL_ERROR_UNHANDLED_CUDA_ERROR"),
        (
            "nccl shared",
            "ranks 0 and 1 share device machine GPU 0, and NCCL wants a device for each rank",
        ),
        ("nccl absent", "rank 1: CuPy finds no NCCL library"),
        ("nccl no-id", "RuntimeError: NCCL_ERROR_SYSTEM_ERROR"),
    ],
)
def test_one_that_fails_on_any_rank_gives_way_to_the_host_on_all(said, case, reason):
    assert said[case]["used"] == "host"
    assert said[case]["asked"] == case.split()[0]
    assert reason in said[case]["refused"]
    assert said[case]["aborted"] == (4 if case == "nccl silent" else 0)
    assert said[case]["seconds"] < 60


def test_nobody_is_asked_for_the_host(said):
    assert said["host"] == {"used": "host", "asked": "host", "refused": ""}
    assert said["this MPI"] is False, "the package openmpi is built without CUDA"
