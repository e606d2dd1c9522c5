"""What replaces, and what is a set: the table is current, and the installed pulumi_aws says nothing
else.
"""

from __future__ import annotations

import importlib
import inspect
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
CONDITIONAL = {("ec2/vpcEndpoint:VpcEndpoint", "privateDnsEnabled")}
"""Replaces only sometimes, which code says (`network_updates.endpoint_replacements`)."""
TYPES = sorted(rules()["types"])


def documented(token: str) -> set[str]:
    """The inputs of which the docstrings of pulumi_aws say that a change makes another resource."""
    module, _, name = token.partition(":")
    package = module.partition("/")[0]
    classes = importlib.import_module(f"pulumi_aws.{'lambda_' if package == 'lambda' else package}")
    args = getattr(classes, f"{name}Args", None) or getattr(classes, f"{name}InitArgs")
    names = _types.input_type_py_to_pulumi_names(args)
    text = inspect.getdoc(args.__init__) or ""
    found = re.finditer(r":param [^:]*?(\w+):(.*?)(?=:param |\Z)", text, flags=re.DOTALL)
    return {names[match[1]] for match in found if FORCES.search(match[2])}


def test_the_page_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == table()


def test_every_type_has_its_rules() -> None:
    assert {f"aws:{token}" for token in TYPES} == set(LIFECYCLES)


@pytest.mark.parametrize("token", TYPES)
def test_the_rules_name_inputs_of_the_type(token: str) -> None:
    schema = resource_schema(f"aws:{token}")
    assert schema is not None
    rule = rules()["types"][token]
    for path in (*rule.get("replaces", ()), *rule.get("sets", ())):
        assert path.partition(".")[0] in schema.inputs, path
    assert rule["source"].endswith(".go")


@pytest.mark.parametrize("token", TYPES)
def test_what_pulumi_aws_documents_as_replacing_replaces(token: str) -> None:
    heads = {path.partition(".")[0] for path in rules()["types"][token].get("replaces", ())}
    missing = documented(token) - heads
    assert missing <= {name for each, name in CONDITIONAL if each == token}


def test_the_docstrings_are_understood() -> None:
    """They say little, but what they say is found."""
    assert documented("ec2/vpcEndpoint:VpcEndpoint") == {"privateDnsEnabled"}


def test_private_dns_replaces_where_it_cannot_change() -> None:
    lifecycle = LIFECYCLES["aws:ec2/vpcEndpoint:VpcEndpoint"]
    for kind, expected in (("Gateway", ["privateDnsEnabled"]), ("Interface", [])):
        old = {"vpcEndpointType": kind, "privateDnsEnabled": False}
        new = {**old, "privateDnsEnabled": True}
        assert lifecycle.replacing(old, new, ["privateDnsEnabled"]) == expected
