"""Section `storage`: how long objects live, whether data may be lost with the stack, and the file
systems that jobs share.
"""

from __future__ import annotations

from config.base import Section, setting
from config.volumes import Efs, Lustre


class StorageSection(Section):
    """Life cycle and protection of buckets and table; file systems that jobs share."""

    protect: bool = setting(
        True,
        about="Whether Pulumi refuses to delete the buckets, the table and the file systems.",
        change="in place",
    )
    delete_with_content: bool = setting(
        False,
        about=(
            "Whether deleting the stack empties the buckets first; for stacks whose data nobody"
            " needs."
        ),
        change="in place",
    )
    intermediate_days: int = setting(
        30, about="Days until cleaned tables are deleted.", change="in place", ge=1, le=3650
    )
    results_archive_days: int = setting(
        90,
        about="Days until results move to the Infrequent Access storage class.",
        change="in place",
        ge=30,
        le=3650,
    )
    noncurrent_days: int = setting(
        30,
        about="Days for which overwritten or deleted object versions are kept.",
        change="in place",
        ge=1,
        le=3650,
    )
    efs: Efs | None = setting(
        None,
        about="File system of Amazon EFS that jobs mount as volumes, on instances and Fargate.",
        change="in place",
    )
    lustre: Lustre | None = setting(
        None,
        about="File system of Amazon FSx for Lustre that jobs on instances mount as volumes.",
        change="in place",
    )
