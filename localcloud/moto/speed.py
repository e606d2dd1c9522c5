"""What moto computes anew for each call or cloud, though it is the same every time, or cheaper to
have.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final

import botocore.session
import moto.core.responses
import moto.core.serialize
import moto.core.utils
import moto.ec2.utils
from botocore.hooks import EVENT_ALIASES, EventAliaser
from moto.core.loaders import create_loader
from moto.core.utils import method_names_from_class
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import create_backend_app

backend_app: Final[Any] = functools.cache(create_backend_app)
"""The application of a service: routes to classes, without any state of a cloud."""

_NAMES: Final = "names_in_objects"
"""Attribute of a shape: class of an object and member -> names that the member may have there."""


@functools.cache
def hasten() -> None:
    """Puts cheaper ways in their place, once for the process."""
    # each call inspects all methods of the class that answers it
    names: Any = functools.cache(method_names_from_class)
    setattr(moto.core.responses, "method_names_from_class", names)  # noqa: B010 - mypy knows these as moto has them
    # each service's model is looked for in a new list of all that botocore has, and parsed anew for
    # each session, of which moto makes many
    setattr(moto.core.utils, "create_loader", functools.cache(create_loader))  # noqa: B010
    setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))  # noqa: B010
    # 1,300 AMIs come with each cloud, and three ids with each of them
    setattr(moto.ec2.utils, "random_resource_id", _resource_id)  # noqa: B010
    # the names that a member of an answer may have in moto's objects are made anew for each value
    picker: Any = moto.core.serialize.XFormedAttributePicker
    picker.get_possible_keys = _kept_by_shape(picker.get_possible_keys)
    # of an attribute of DynamoDB, which has one of ten members, each is looked for
    serializer: Any = moto.core.serialize.ResponseSerializer
    serializer.get_value = _of_dictionary(serializer.get_value)
    _share_event_names()


def _share_event_names() -> None:
    """Each client looks for the names of its events among eighty old ones, and takes each name
    apart for each of them. Now the first client does it for all, and once for all old ones.
    """
    owner: Any = EventAliaser
    made, find, known = owner.__init__, owner._alias_event_name, dict[str, str]()  # noqa: SLF001
    parts = frozenset(old for old in EVENT_ALIASES if "." not in old)
    longer = tuple(old for old in EVENT_ALIASES if "." in old)

    def make(aliaser: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        made(aliaser, event_emitter, event_aliases)
        if event_aliases in (None, EVENT_ALIASES):
            aliaser._alias_name_cache = known  # noqa: SLF001

    def alias(aliaser: Any, event_name: str) -> Any:
        if (
            aliaser._alias_name_cache is known  # noqa: SLF001
            and event_name not in known
            and parts.isdisjoint(event_name.split("."))
            and not any(old in event_name for old in longer)
        ):
            known[event_name] = event_name
        return find(aliaser, event_name)

    owner.__init__, owner._alias_event_name = make, alias  # noqa: SLF001


def _resource_id(size: int = 8) -> str:
    """So many hexadecimal digits, of the generator that gives moto all that is random."""
    return f"{mock_random.getrandbits(4 * size):0{size}x}"


def _kept_by_shape(names: Any) -> Any:
    """The names as the shape keeps them: they follow from it, the member and the class of the
    object, unless the class says more of itself.
    """

    def kept(self: Any, context: Any) -> Iterable[str]:
        if context.shape is None or hasattr(context.obj, "Meta"):
            found: Iterable[str] = names(self, context)
            return found
        by_class: dict[tuple[type, str], tuple[str, ...]]
        by_class = vars(context.shape).setdefault(_NAMES, {})
        member = (type(context.obj), context.key)
        if member not in by_class:
            by_class[member] = tuple(dict.fromkeys(names(self, context)))
        return by_class[member]

    return kept


def _of_dictionary(value_of: Any) -> Any:
    """The member of a dictionary by the names that its shape keeps, without more ado."""

    def member(self: Any, value: Any, key: str, shape: Any) -> Any:
        picker = self._value_picker
        if type(value) is dict and not getattr(picker, "response_transformers", True):
            names = vars(shape).get(_NAMES, {}).get((dict, key))
            if names is not None:
                return next((value[name] for name in names if name in value), None)
        return value_of(self, value, key, shape)

    return member
