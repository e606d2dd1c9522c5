"""docs/services.md says what the AWS in memory has, and nothing else."""

from __future__ import annotations

import pytest

from localcloud.coverage import Coverage
from scripts.write_services import PAGE, surveyed, text


@pytest.fixture(scope="module")
def found() -> dict[str, Coverage]:
    return surveyed()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_is_what_is_found(found: dict[str, Coverage]) -> None:
    assert PAGE.read_text() == text(found), "run: python -m scripts.write_services"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_known_to_be_there_and_not(found: dict[str, Coverage]) -> None:
    assert {"SubmitJob", "ListJobs"} <= set(found["batch"].own)
    assert "CreateConsumableResource" in found["batch"].refused
    assert found["batch"].moto == []
    assert {"PutObject", "GetObject", "CompleteMultipartUpload"} <= set(found["s3"].moto)
    assert {"GetObjectRetention", "SelectObjectContent"} <= set(found["s3"].refused)
    assert "StartQuery" in found["logs"].own
    assert "ExecuteStatement" in found["dynamodb"].refused
    assert all(each.own or each.moto for each in found.values())
