"""The offline model of container and node properties: current, as strict as botocore, and stricter
about allowed values.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from config.batch_model import property_problems
from scripts.refresh_batch_model import TARGET, batch_model, text

CONTAINER: dict[str, Any] = {
    "image": "cpu",
    "command": ["python", "-m", "workloads.preprocess"],
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
    "environment": [{"name": "A", "value": "1"}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
    "linuxParameters": {
        "initProcessEnabled": True,
        "sharedMemorySize": 64,
        "devices": [
            {
                "hostPath": "/dev/x",
                "containerPath": "/dev/x",
                "permissions": ["READ", "WRITE", "MKNOD"],
            }
        ],
    },
    "ulimits": [{"name": "memlock", "softLimit": -1, "hardLimit": -1}],
    "volumes": [{"name": "scratch", "host": {"sourcePath": "/scratch"}}],
    "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch", "readOnly": False}],
}
NODES: dict[str, Any] = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [{"targetNodes": "0:", "container": CONTAINER}],
}
BOTOCORE = ServiceModel(Loader().load_service_model("batch", "service-2"))


def test_the_data_file_is_what_botocore_says_today() -> None:
    assert TARGET.read_text() == text(batch_model()), "run scripts/refresh_batch_model.py"
    assert len(json.loads(TARGET.read_text())["shapes"]) > 50


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"linuxParameter": {}},
            "linuxParameter is not known to AWS Batch; it knows linuxParameters",
        ),
        ({"zzz": 1}, "zzz is not known to AWS Batch"),
        ({"command": "python"}, 'command is "python", expected a list'),
        ({"privileged": "yes"}, 'privileged is "yes", expected a boolean'),
        (
            {"linuxParameters": {"sharedMemorySize": True}},
            "linuxParameters.sharedMemorySize is true, expected an integer",
        ),
        (
            {"ulimits": [{"name": "memlock", "softLimit": 1}]},
            "ulimits[0] has no hardLimit, which is required",
        ),
        (
            {"resourceRequirements": [{"type": "CPU", "value": "1"}]},
            'resourceRequirements[0].type is "CPU", expected one of GPU, VCPU, MEMORY',
        ),
        (
            {"resourceRequirements": [{"type": "VCPU", "value": 1}]},
            "resourceRequirements[0].value is 1, expected a string",
        ),
        ({"logConfiguration": {"logDriver": "awslog"}}, "expected one of json-file, syslog"),
    ],
)
def test_one_sentence_for_each_fault_at_any_depth(changes: dict[str, Any], says: str) -> None:
    assert (
        property_problems("ContainerProperties", CONTAINER)
        == property_problems("NodeProperties", NODES)
        == []
    )
    (problem,) = property_problems("ContainerProperties", {**CONTAINER, **changes})
    assert says in problem
    nodes = {
        **NODES,
        "nodeRangeProperties": [{"targetNodes": "0:", "container": {**CONTAINER, **changes}}],
    }
    assert [
        p.removeprefix("nodeRangeProperties[0].container.")
        for p in property_problems("NodeProperties", nodes)
    ] == [problem]


def test_nothing_is_said_of_values_that_do_not_exist_yet() -> None:
    assert (
        property_problems(
            "ContainerProperties",
            {
                **CONTAINER,
                "jobRoleArn": object(),
                "secrets": [{"name": "A", "valueFrom": object()}],
            },
        )
        == []
    )


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [place for key, item in items for place in [(*path, key), *_places(item, (*path, key))]]


@settings(max_examples=300, deadline=None)
@given(
    place=st.sampled_from(_places(NODES)),
    value=st.sampled_from([1, "x", [], {}, [{}], {"x": "y"}, ["x"], ["READ"], "VCPU", "awslogs"]),
    rename=st.booleans(),
)
def test_botocore_finds_fault_where_this_does(
    place: tuple[Any, ...], value: Any, rename: bool
) -> None:
    changed: Any = copy.deepcopy(NODES)
    parent = changed
    for part in place[:-1]:
        parent = parent[part]
    parent[f"{place[-1]}x" if rename and isinstance(parent, dict) else place[-1]] = value
    ours = [p for p in property_problems("NodeProperties", changed) if "expected one of" not in p]
    theirs = ParamValidator().validate(changed, BOTOCORE.shape_for("NodeProperties"))
    assert bool(ours) == theirs.has_errors(), (ours, theirs.generate_report())
