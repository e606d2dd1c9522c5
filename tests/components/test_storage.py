from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from components.storage import Storage, StorageArgs
from config.storage import StorageSection
from tests.components import mocks

BUCKET, TABLE = "aws:s3/bucket:Bucket", "aws:dynamodb/table:Table"
BUCKETS = {"storage-ingest", "storage-intermediate", "storage-results"}


def deploy(context, **section) -> mocks.Recording:
    return mocks.deploy(
        lambda: Storage("storage", StorageArgs(context=context, section=StorageSection(**section)))
    )


def per_bucket(made: mocks.Recording, kind: str) -> dict[str, Mapping[str, Any]]:
    """The inputs of one resource for each bucket, by the bucket's logical name; asserts that each
    bucket has exactly one.
    """
    names = {b.outputs["bucket"]: b.name for b in made.all(BUCKET, count=3)}
    found = made.all(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", count=3)
    result = {names[r.inputs["bucket"]]: r.inputs for r in found}
    assert set(result) == BUCKETS
    return result


def test_every_bucket_is_closed_encrypted_and_versioned(context) -> None:
    made = deploy(context)
    for access in per_bucket(made, "BucketPublicAccessBlock").values():
        flags = {key: value for key, value in access.items() if key != "bucket"}
        assert flags == dict.fromkeys(
            ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"),
            True,
        )
    for ownership in per_bucket(made, "BucketOwnershipControls").values():
        assert ownership["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    for encryption in per_bucket(made, "BucketServerSideEncryptionConfiguration").values():
        # not KMS: the ETag has to stay the digest of the content, which run ids come from
        assert encryption["rules"] == [
            {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
        ]
    for versioning in per_bucket(made, "BucketVersioning").values():
        assert versioning["versioningConfiguration"] == {"status": "Enabled"}


def test_every_bucket_refuses_plain_http(context) -> None:
    made = deploy(context)
    for policy in made.all("aws:s3/bucketPolicy:BucketPolicy", count=3):
        (deny,) = made.policy(policy)
        arn = f"arn:aws:s3:::{policy.inputs['bucket']}"
        assert (deny["Effect"], deny["Principal"], deny["Action"], deny["Resource"]) == (
            "Deny",
            "*",
            ["s3:*"],
            [arn, f"{arn}/*"],
        )
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_life_cycle_follows_the_config(context) -> None:
    made = deploy(context, intermediate_days=7, results_archive_days=45, noncurrent_days=11)
    rules = {
        name: {r["id"]: r for r in found["rules"]}
        for name, found in per_bucket(made, "BucketLifecycleConfiguration").items()
    }
    for found in rules.values():
        assert found["leftovers"]["noncurrentVersionExpiration"] == {"noncurrentDays": 11}
        assert found["leftovers"]["abortIncompleteMultipartUpload"]["daysAfterInitiation"] > 0
        assert all(r["status"] == "Enabled" for r in found.values())
    assert rules["storage-intermediate"]["expire"]["expiration"] == {"days": 7}
    assert rules["storage-results"]["archive"]["transitions"] == [
        {"days": 45, "storageClass": "STANDARD_IA"}
    ]
    expiring = {
        name
        for name, found in rules.items()
        for r in found.values()
        if "days" in r.get("expiration", {})
    }
    assert expiring == {"storage-intermediate"}, "uploads and findings do not expire"


def test_only_uploads_are_announced(context) -> None:
    made = deploy(context)
    notification = made.one("aws:s3/bucketNotification:BucketNotification").inputs
    assert notification["eventbridge"] is True
    assert notification["bucket"] == made.one(BUCKET, "storage-ingest").outputs["bucket"]


def test_the_table_is_keyed_by_the_contract_and_can_be_restored(context) -> None:
    from workloads import operating
    from workloads.contract import Run

    table = deploy(context).one(TABLE).inputs
    key = Run("20260131-sales-0123456789ab").state_key
    assert [table["hashKey"], table["rangeKey"]] == list(key)
    kinds = dict.fromkeys(key, "S") | operating.KEYS
    assert table["attributes"] == [{"name": name, "type": kind} for name, kind in kinds.items()]
    found = {index["name"]: index for index in table["globalSecondaryIndexes"]}
    assert list(found) == [operating.RUNS_BY_CLAIM, operating.RUNS_BY_ID]
    for name, index in found.items():
        held = {key["attributeName"] for key in index["keySchemas"]} | {*index["nonKeyAttributes"]}
        assert held == {*operating.KEYS, *operating.ATTRIBUTES}, f"{name} holds what a list shows"
    assert table["billingMode"] == "PAY_PER_REQUEST"
    assert table["pointInTimeRecovery"] == {"enabled": True}


@pytest.mark.parametrize("protect", [True, False])
def test_protection_covers_all_that_holds_data(context, protect) -> None:
    made = deploy(context, protect=protect, delete_with_content=not protect)
    holders = [*made.all(BUCKET, count=3), made.one(TABLE)]
    assert [r.options.protect for r in holders] == [protect] * 4
    assert made.one(TABLE).inputs["deletionProtectionEnabled"] is protect
    assert [b.inputs["forceDestroy"] for b in made.all(BUCKET)] == [not protect] * 3
