from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from config import SECTIONS, ConfigError, load_stack_config
from config.base import FrozenDict, Section
from config.disks import InstanceStore
from tests.config.stacks import EXAMPLES, STACKS, changed, load, sections


@pytest.mark.parametrize("stack", [*STACKS, *EXAMPLES])
def test_the_stack_files_are_valid_without_a_warning(stack) -> None:
    found = sections(stack)
    assert len(found) >= 7
    config, warnings = load(found)
    assert warnings == []
    assert config.jobs.analysis.nodes == found["jobs"]["analysis"]["nodes"]


def test_everything_wrong_is_shown_in_one_text() -> None:
    found = changed(
        {
            "jobs.analysis.nodes": "four",
            "environments.gpu.zone_index": 5,
            "network.nat": "one",
            "budget.emails": [],
        }
    )
    found["quues"] = {}
    with pytest.raises(ConfigError) as caught:
        load(found)
    lines = str(caught.value).splitlines()
    assert lines[0] == "Pulumi.test.yaml has 5 errors:"
    paths = [
        "quues",
        "network.nat",
        "jobs.analysis.nodes",
        "budget.emails",
        "environments.gpu.zone_index",
    ]
    assert [p.path for p in caught.value.problems] == paths
    for line, path in zip(lines[1:], paths, strict=True):
        assert f" at {path}: found " in line
        assert line.endswith(".")
        assert " Fix: " in line


def test_a_misspelt_key_of_the_stack_file_is_found_and_secrets_are_known() -> None:
    found = changed({})
    load({**found, "slack-webhook-url": {"secure": "v1:x"}})
    with pytest.raises(
        ConfigError, match=r"at netwrok: .* known are network, .* Fix: write network\."
    ):
        load({**found, "netwrok": {}})


@pytest.mark.parametrize(
    ("said", "meant"), [(True, InstanceStore(kind="instance-store")), (False, None)]
)
def test_scratch_as_stack_files_of_the_first_version_say_it(said, meant) -> None:
    config, _ = load(changed({"environments.gpu.scratch": said}))
    assert config.environments["gpu"].scratch == meant  # type: ignore[union-attr]


def test_sections_whose_fields_have_defaults_may_be_left_out() -> None:
    needed = {"environments", "queues", "jobs", "budget"}
    config, _ = load({name: value for name, value in changed({}).items() if name in needed})
    assert config.network.nat == "single"
    with pytest.raises(ConfigError) as caught:
        load_stack_config("empty", lambda _section: None)
    assert {p.path.partition(".")[0] for p in caught.value.problems} == {"jobs", "budget"}


def test_nothing_in_a_config_can_be_changed() -> None:
    config, _ = load(changed({}))
    assert isinstance(config.environments, FrozenDict)
    fair_share = config.queues["main"].fair_share
    assert fair_share is not None
    weights = fair_share.weights
    attempts: list[Callable[[], object]] = [
        lambda: config.environments.__setitem__("x", config.environments["gpu"]),
        lambda: config.tags.update({"a": "b"}),
        lambda: config.queues.pop("main"),
        lambda: weights.__delitem__("pipeline"),
        weights.clear,
        lambda: weights.setdefault("x", 1),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="does not change"):
            attempt()
    with pytest.raises(ValidationError):
        config.jobs.analysis.nodes = 7  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.jobs = config.jobs  # type: ignore[misc]
    assert copy.deepcopy(config.queues) == config.queues
    assert pickle.loads(pickle.dumps(weights)) == weights  # noqa: S301


def _models(model: type[Section]) -> list[type[Section]]:
    return [model, *(m for sub in model.__subclasses__() for m in _models(sub))]


def test_every_field_says_what_it_does_and_what_changing_it_costs() -> None:
    assert len(SECTIONS) == 10
    fields = [(m.__name__, n, f) for m in _models(Section) for n, f in m.model_fields.items()]
    assert len(fields) > 60
    for model, name, field in fields:
        assert field.description, f"{model}.{name}"
        assert isinstance(field.json_schema_extra, dict), f"{model}.{name}"
        assert str(field.json_schema_extra["change"]) in field.description, f"{model}.{name}"
