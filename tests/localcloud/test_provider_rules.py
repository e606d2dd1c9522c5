"""What replaces, and what is a set: the table is current, and the installed pulumi_aws says nothing
else.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import re

import pytest
from pulumi import _types

from localcloud.deployment.provider.lifecycle import LIFECYCLES, rules
from localcloud.deployment.provider.schema import resource_schema
from localcloud.deployment.provider.table import FILE, table

FORCES = re.compile(
    r"forces? (?:a |the creation of a )?(?:new|replacement)|will (?:force|create) a new|recreated",
    re.IGNORECASE,
)
DEFAULT = re.compile(r"\bdefaults?\b", re.IGNORECASE)
NO_DEFAULTS = {
    ("s3/bucket:Bucket", "acl"),  # deprecated, and what AWS has counts
    ("cloudwatch/eventRule:EventRule", "isEnabled"),  # deprecated
    ("ec2/placementGroup:PlacementGroup", "spreadLevel"),  # of the strategy spread alone
    ("fsx/lustreFileSystem:LustreFileSystem", "importedFileChunkSize"),  # beside `importPath` alone
    ("sfn/stateMachine:StateMachine", "loggingConfiguration"),  # of a part of it
}
"""Inputs of which it says that they have a default, and which have none that counts always."""
TYPES = sorted(rules()["types"])


def docstrings(token: str) -> dict[str, str]:
    """What pulumi_aws says of each input."""
    module, _, name = token.partition(":")
    package = module.partition("/")[0]
    classes = importlib.import_module(f"pulumi_aws.{'lambda_' if package == 'lambda' else package}")
    args = getattr(classes, f"{name}Args", None) or getattr(classes, f"{name}InitArgs")
    names = _types.input_type_py_to_pulumi_names(args)
    text = inspect.getdoc(args.__init__) or ""
    found = re.finditer(r":param [^:]*?(\w+):(.*?)(?=:param |\Z)", text, flags=re.DOTALL)
    return {names[match[1]]: " ".join(match[2].split()) for match in found}


def documented(token: str) -> set[str]:
    """The inputs of which the docstrings of pulumi_aws say that a change makes another resource."""
    return {name for name, text in docstrings(token).items() if FORCES.search(text)}


def test_the_page_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == table()


def test_every_type_has_its_rules() -> None:
    assert {f"aws:{token}" for token in TYPES} == set(LIFECYCLES)


@pytest.mark.parametrize("token", TYPES)
def test_the_rules_name_inputs_of_the_type(token: str) -> None:
    schema = resource_schema(f"aws:{token}")
    assert schema is not None
    rule = rules()["types"][token]
    for column in ("replaces", "sometimes", "sets", "defaults", "computed", "since"):
        for path in rule.get(column, ()):
            assert path.partition(".")[0] in schema.inputs, path
    assert not set(rule.get("replaces", ())) & set(rule.get("sometimes", ()))
    assert rule["source"].endswith(".go")


@pytest.mark.parametrize("token", TYPES)
def test_what_pulumi_aws_documents_as_replacing_replaces(token: str) -> None:
    rule = rules()["types"][token]
    known = (*rule.get("replaces", ()), *rule.get("sometimes", ()))
    assert documented(token) <= {path.partition(".")[0] for path in known}


@pytest.mark.parametrize("token", [each for each in TYPES if "defaults" in rules()["types"][each]])
def test_the_defaults_are_those_that_pulumi_aws_documents(token: str) -> None:
    said = docstrings(token)
    for name, value in rules()["types"][token]["defaults"].items():
        if isinstance(value, (list, dict)) or "." in name:
            continue
        sentences = [each for each in re.split(r"\.\s", said[name]) if DEFAULT.search(each)]
        words = {3600: "one hour"}.get(value, "full access" if name == "policy" else None)
        shown = words or json.dumps(value).strip('"')
        if sentences:  # of some the docstrings say nothing
            assert any(shown in each for each in sentences), (name, sentences)


def test_every_default_that_pulumi_aws_documents_is_known() -> None:
    """Of the plain ones: a word or a number in backticks after `Defaults to`."""
    plain = re.compile(r"Defaults to `([A-Za-z_]+|\d+)`")
    unknown = {
        (token, name)
        for token in TYPES
        for name, text in docstrings(token).items()
        if plain.search(text) and name not in rules()["types"][token].get("defaults", ())
    }
    assert unknown == NO_DEFAULTS


def test_the_notes_of_the_installed_release_were_read() -> None:
    """After an update: read the notes of terraform-provider-aws from the last release in rules.json
    on for the types in it, and write down what they say.
    """
    installed = importlib.metadata.version("pulumi_aws")
    assert installed.startswith(f"{rules()['pulumi_aws']}."), installed
    alarm = resource_schema("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert alarm is not None
    assert "warmUpConfiguration" in alarm.inputs  # new in 6.64


def test_the_docstrings_are_understood() -> None:
    """They say little, but what they say is found."""
    assert documented("ec2/vpcEndpoint:VpcEndpoint") == {"privateDnsEnabled"}


def test_private_dns_replaces_where_it_cannot_change() -> None:
    lifecycle = LIFECYCLES["aws:ec2/vpcEndpoint:VpcEndpoint"]
    for kind, expected in (("Gateway", ["privateDnsEnabled"]), ("Interface", [])):
        old = {"vpcEndpointType": kind, "privateDnsEnabled": False}
        new = {**old, "privateDnsEnabled": True}
        assert lifecycle.replacing(old, new, ["privateDnsEnabled"]) == expected
