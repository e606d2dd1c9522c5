from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.workloads.analysis.tables import Columns, lines_object, run_of, write_table
from tests.workloads.analysis.watched_server import Watch, served
from workloads.analysis.pipeline.partials import load_profile, load_success
from workloads.analysis.pipeline.success import Success
from workloads.analysis.profile.result import Profile
from workloads.analysis.settings import Settings
from workloads.contract import Run
from workloads.records import ColumnUse, Manifest
from workloads.runtime.errors import StageError
from workloads.variables import ENV_INTERMEDIATE_BUCKET, ENV_RESULTS_BUCKET, ENV_RUN_ID

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NO_USES: Mapping[int, ColumnUse] = {}
MIDDLE, RESULTS = "intermediate", "results"


@dataclass(frozen=True)
class Store:
    """S3 with the two buckets of the analysis, and what a job's environment has to say to reach
    it.
    """

    s3: S3Client
    environ: dict[str, str]
    watch: Watch

    def refused(self, environ: Mapping[str, str]) -> StageError:
        """What a rank of some run says of such variables, before it does anything."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **self.environ,
                ENV_RUN_ID: run_of("refused").run_id,
                **environ,
            }.items():
                patch.setenv(name, value)
            with pytest.raises(StageError) as refused:
                Settings.read()
        return refused.value

    def put_table(
        self,
        name: str,
        values: Columns,
        unit_rows: int,
        damaged_unit: int | None = None,
        uses: Mapping[int, ColumnUse] = NO_USES,
    ) -> Run:
        run = run_of(name)
        data, manifest = write_table(run, values, unit_rows, uses)
        if damaged_unit is not None:
            at = manifest.units[damaged_unit].byte_offset + 10
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        self.s3.put_object(Bucket=MIDDLE, Key=run.table_key, Body=data)
        self.s3.put_object(Bucket=MIDDLE, Key=run.lines_key, Body=lines_object())
        self.s3.put_object(Bucket=MIDDLE, Key=run.manifest_key, Body=manifest.to_json())
        return run

    def change_manifest(self, run: Run) -> None:
        manifest = Manifest.from_json(self.get(MIDDLE, run.manifest_key))
        self.s3.put_object(
            Bucket=MIDDLE,
            Key=run.manifest_key,
            Body=replace(manifest, source={"etag": "another"}).to_json(),
        )

    def get(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def keys(self, prefix: str) -> dict[str, str]:
        """Key -> ETag in the results bucket."""
        return {
            found["Key"]: found["ETag"]
            for found in self.s3.list_objects_v2(Bucket=RESULTS, Prefix=prefix).get("Contents", [])
        }

    def manifest_sha256(self, run: Run) -> str:
        return hashlib.sha256(self.get(MIDDLE, run.manifest_key)).hexdigest()

    def profile(self, run: Run) -> Profile:
        return load_profile(lambda key: self.get(RESULTS, key), run, self.manifest_sha256(run))

    def success(self, run: Run) -> Success:
        return load_success(lambda key: self.get(RESULTS, key), run, self.manifest_sha256(run))


@contextlib.contextmanager
def serve() -> Iterator[Store]:
    with served() as (address, watch):
        environ = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            ENV_INTERMEDIATE_BUCKET: MIDDLE,
            ENV_RESULTS_BUCKET: RESULTS,
        }
        s3 = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        for bucket in (MIDDLE, RESULTS):
            s3.create_bucket(Bucket=bucket)
        yield Store(s3, environ, watch)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serve() as one:
        yield one
