"""The settings of a provider: which AWS it is, in which region, and the tags that everything
gets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from localcloud.deployment.provider.calls import Aws, ProviderError
from localcloud.deployment.provider.values import Secret, plain

_PREVIEW_ACCOUNT: Final = "123456789012"
# settings that make the real provider talk to a local endpoint, or say who deploys; here the client
# does both already
_ENDPOINT_SETTINGS: Final = frozenset(
    {
        "accessKey",
        "assumeRoles",
        "profile",
        "secretKey",
        "endpoints",
        "maxRetries",
        "s3UsePathStyle",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
    }
)


class Settings:
    """The settings of a stack, and of the explicit providers in it.

    Args:
        client: Returns a thread-safe boto3 client for a service name.
        config: The stack's config; `aws:region`, `aws:defaultTags` and `aws:allowedAccountIds`
            count.
        preview: Assume the account, and ask AWS for nothing.
    """

    def __init__(
        self, *, client: Callable[[str], Any], config: Mapping[str, str], preview: bool
    ) -> None:
        self._client, self._config, self._preview = client, config, preview
        default = json.loads(config.get("aws:defaultTags", "{}"))
        self._default_tags: dict[str, dict[str, str]] = {"": default.get("tags", {})}

    @cached_property
    def aws(self) -> Aws:
        """The AWS of this deployment; its account is asked for once, and assumed in a preview."""
        allowed = json.loads(self._config.get("aws:allowedAccountIds", "[]"))
        if self._preview:
            return Aws(
                client=self._client,
                account=str(allowed[0]) if allowed else _PREVIEW_ACCOUNT,
                region=self.region,
            )
        account = self._client("sts").get_caller_identity()["Account"]
        if allowed and account not in map(str, allowed):
            raise ProviderError(
                f"aws:allowedAccountIds is {', '.join(map(str, allowed))}, but these credentials"
                f" are of account {account}"
            )
        return Aws(client=self._client, account=account, region=self.region)

    @property
    def region(self) -> str:
        """The only region. Raises ProviderError where none is set."""
        region = self._config.get("aws:region")
        if not region:
            raise ProviderError("aws:region is not set; add it to the stack file")
        return region

    def add(self, urn: str, package: str, inputs: Mapping[str, Any]) -> str:
        """Takes note of an explicit provider resource and returns its id.

        Raises ProviderError for settings that are not served.
        """
        if package != "aws":
            raise ProviderError(
                f"the provider {package!r} is not served by the local engine, only aws is"
            )
        self.check(inputs)
        tags = inputs.get("defaultTags") or {}
        tags = json.loads(tags) if isinstance(tags, str) else tags
        self._default_tags[urn] = {**tags.get("tags", {})}
        return "local"

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raises ProviderError for settings of the provider that are not served, or that are not
        those of this AWS.
        """
        unknown = sorted(
            set(inputs)
            - {"region", "defaultTags", "allowedAccountIds", "version"}
            - _ENDPOINT_SETTINGS
        )
        if unknown:
            raise ProviderError(
                f"the provider settings {', '.join(unknown)} are not served by the local engine"
            )
        if inputs.get("region", self.region) != self.region:
            raise ProviderError(
                f"region is {inputs['region']}, but the stack's aws:region is {self.region}; the"
                " local AWS has one region"
            )

    def tags(self, provider: str, values: Mapping[str, Any]) -> Any:
        """The tags of a resource with the default ones of its provider, secret where the given ones
        are.
        """
        given = plain(values.get("tags")) or {}
        if not isinstance(given, Mapping):
            return given
        merged = {**self._default_tags[provider.rpartition("::")[0]], **given}
        return Secret(merged) if isinstance(values.get("tags"), Secret) else merged
