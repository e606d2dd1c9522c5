"""Tags of Batch resources: what AWS allows, and the Resource Groups Tagging API's view of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from localcloud.batch.records import Store, client_error

MOST_TAGS: Final = 50
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 256


def check(tags: Mapping[str, str] | None) -> None:
    """Checks the tags of a request. Raises ClientException."""
    if len(tags or {}) > MOST_TAGS:
        raise client_error(f"A resource can have at most {MOST_TAGS} tags, found {len(tags or {})}")
    for key, value in (tags or {}).items():
        if key.lower().startswith("aws:"):
            raise client_error(f"Tag keys cannot begin with aws:, found {key}")
        if not 1 <= len(key) <= _LONGEST_KEY or len(value or "") > _LONGEST_VALUE:
            raise client_error(
                f"A tag has a key of 1 to {_LONGEST_KEY} and a value of at most {_LONGEST_VALUE}"
                f" characters, found {key!r}"
            )


def resources(store: Store) -> Iterator[tuple[str, Mapping[str, str]]]:
    """ARN and tags of every resource that has tags."""
    for group in (store.environments, store.queues, store.policies):
        for each in group.values():
            yield each.arn, each.tags
    for revisions in store.definitions.values():
        for definition in revisions:
            yield definition.arn, definition.spec.get("tags", {})
    for job in store.jobs.values():
        if job.parent is None:
            yield job.arn, job.tags


def with_more(
    own: Iterable[tuple[str, Mapping[str, str]]], params: Mapping[str, Any], body: bytes
) -> bytes:
    """Moto's answer to GetResources, whose last page gets what moto does not have too."""
    answer = json.loads(body)
    if not answer.get("PaginationToken"):
        answer.setdefault("ResourceTagMappingList", []).extend(
            {
                "ResourceARN": arn,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
            for arn, tags in own
            if tags and _wanted(arn, tags, params)
        )
    return json.dumps(answer).encode()


def _wanted(arn: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> bool:
    kinds, arns = params.get("ResourceTypeFilters") or [], params.get("ResourceARNList") or []
    service, kind = arn.split(":", 3)[2], arn.split(":", 5)[5].partition("/")[0]
    if (kinds and not {service, f"{service}:{kind}"} & set(kinds)) or (arns and arn not in arns):
        return False
    filters = params.get("TagFilters") or []
    return all(
        key in tags and (not each.get("Values") or tags[key] in each["Values"])
        for each in filters
        for key in [each.get("Key", "")]
    )
