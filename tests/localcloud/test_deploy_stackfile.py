"""Project and stack files as the CLI reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.deployment.deploy import DeploymentError, deploy
from localcloud.deployment.stack_file import StackFileError, read_stack
from tests.localcloud.deploying import no_aws

TEXTS = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=12)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), TEXTS)
OBJECTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def write(folder: Path, config: Any, project: Any = None) -> Path:
    # JSON is YAML in which every text stands in quotes
    (folder / "Pulumi.yaml").write_text(
        json.dumps({"name": "demo", "runtime": "python", **(project or {})})
    )
    (folder / "Pulumi.dev.yaml").write_text(
        json.dumps({"config": config}, ensure_ascii=False), encoding="utf-8"
    )
    return folder


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "demo:c"]),
        st.one_of(st.lists(OBJECTS), st.dictionaries(TEXTS, OBJECTS)),
        min_size=1,
    )
)
def test_an_object_arrives_as_the_json_of_itself(config: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        found = read_stack(write(Path(folder), config), "dev", {}, {}).config
    assert {key: json.loads(text) for key, text in found.items()} == {
        key if ":" in key else f"demo:{key}": v for key, v in config.items()
    }


def test_declarations_of_the_project_file_give_defaults(tmp_path: Path) -> None:
    declared = {
        "config": {
            "zones": {"type": "integer", "default": 2},
            "name": "plain",
            "aws:region": {"value": "eu-west-1"},
        }
    }
    found = read_stack(write(tmp_path, {"name": "mine"}, declared), "dev", {}, {}).config
    assert found == {"demo:zones": "2", "demo:name": "mine", "aws:region": "eu-west-1"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"hook": {"secure": "v1:abc"}},
            (
                r"Pulumi\.dev\.yaml: demo:hook is encrypted.* give demo:hook in plain text as a"
                r" secret override"
            ),
        ),
        ({"a": {"b": [{"secure": "v1:abc"}]}}, r"demo:a\.b\[0\] is encrypted"),
    ],
)
def test_an_encrypted_value_needs_an_override(tmp_path: Path, config: Any, expected: str) -> None:
    with pytest.raises(StackFileError, match=expected):
        read_stack(write(tmp_path, config), "dev", {}, {})
    key = f"demo:{next(iter(config))}"
    found = read_stack(tmp_path, "dev", {}, {key: "plain"})
    assert found.config[key] == "plain"
    assert found.secret_keys == {key}


@pytest.mark.parametrize(
    ("files", "stack", "expected"),
    [
        ({}, "dev", r"Pulumi\.yaml does not exist"),
        (
            {"Pulumi.yaml": "name: demo", "Pulumi.prod.yaml": ""},
            "dev",
            r"Pulumi\.dev\.yaml does not exist; stacks here are prod$",
        ),
        (
            {"Pulumi.yaml": "name: demo", "Pulumi.dev.yaml": "a: [\n"},
            "dev",
            r"Pulumi\.dev\.yaml is not YAML that Pulumi takes: line 2: ",
        ),
        (
            {"Pulumi.yaml": "name: demo", "Pulumi.dev.yaml": "- a\n"},
            "dev",
            r"Pulumi\.dev\.yaml holds a list, expected a map",
        ),
        (
            {"Pulumi.yaml": "runtime: python", "Pulumi.dev.yaml": ""},
            "dev",
            r"Pulumi\.yaml has no name",
        ),
    ],
)
def test_an_unusable_file_is_one_sentence(
    tmp_path: Path, files: dict[str, str], stack: str, expected: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DeploymentError) as caught:
        deploy(tmp_path, stack, no_aws)
    assert re.search(expected, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_override_needs_its_namespace(tmp_path: Path) -> None:
    with pytest.raises(
        StackFileError, match=r"the override 'count' has no namespace; write demo:count"
    ):
        read_stack(write(tmp_path, {}), "dev", {"count": "1"}, {})
