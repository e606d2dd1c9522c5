"""What moto computes anew for each call or cloud, though it is the same every time, or cheaper to
have.
"""

from __future__ import annotations

import functools
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
    _share_event_names()
    _keep_names_of_attributes()


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


def _keep_names_of_attributes() -> None:
    """Under which names an answer's member may stand in the object that it is taken from depends on
    the member and on the class of the object alone, and moto thinks of all of them for each value.
    """
    picker: Any = moto.core.serialize.XFormedAttributePicker
    names_of, known = picker.get_possible_keys, dict[tuple[Any, ...], tuple[str, ...]]()

    def names(self: Any, context: Any) -> tuple[str, ...]:
        if self.alias_providers is not moto.core.serialize.DEFAULT_ALIAS_PROVIDERS:
            return tuple(names_of(self, context))
        place = context.key, context.shape, type(context.obj)
        if place not in known:
            known[place] = tuple(names_of(self, context))
        return known[place]

    picker.get_possible_keys = names


def _resource_id(size: int = 8) -> str:
    """So many hexadecimal digits, of the generator that gives moto all that is random."""
    return f"{mock_random.getrandbits(4 * size):0{size}x}"
