"""What was made by hand is imported by the Pulumi CLI, which writes the code that goes on with
it.
"""

from __future__ import annotations

import json

import pytest

from tests.conformance.conftest import Rehearsal

PROJECT = "name: adopting\nruntime: { name: python, options: { virtualenv: .venv } }\n"
WANTED = (
    ("aws:s3/bucket:Bucket", "data", "adopted"),
    ("aws:sns/topic:Topic", "news", "arn:aws:sns:us-east-1:{account}:adopted"),
    ("aws:dynamodb/table:Table", "runs", "adopted"),
    ("aws:cloudwatch/logGroup:LogGroup", "log", "/adopted"),
    ("aws:iam/role:Role", "role", "adopted"),
)


@pytest.mark.timeout(600)
def test_code_is_written_for_what_is_imported_and_changes_nothing(rehearsal: Rehearsal) -> None:
    cli, client = rehearsal.cli, rehearsal.cloud.client
    client("s3").create_bucket(Bucket="adopted")
    client("sns").create_topic(Name="adopted", Attributes={"DisplayName": "News"})
    client("dynamodb").create_table(
        TableName="adopted",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    client("logs").create_log_group(logGroupName="/adopted")
    client("logs").put_retention_policy(logGroupName="/adopted", retentionInDays=7)
    trust = {"Version": "2012-10-17", "Statement": []}
    client("iam").create_role(RoleName="adopted", AssumeRolePolicyDocument=json.dumps(trust))

    (cli.program / "Pulumi.yaml").write_text(PROJECT)
    main = cli.program / "__main__.py"
    main.write_text("")
    cli.run("stack", "init", "dev")
    cli.run("config", "set", "aws:region", rehearsal.cloud.region)
    listed = [
        {"type": token, "name": name, "id": given.format(account=rehearsal.cloud.account_id)}
        for token, name, given in WANTED
    ]
    file = cli.program / "resources.json"
    file.write_text(json.dumps({"resources": listed}))
    code = cli.program / "code.py"
    cli.run("import", "--yes", "--skip-preview", "--file", str(file), "--out", str(code))
    written = code.read_text()
    assert 'bucket="adopted"' in written
    assert 'display_name="News"' in written
    assert "retention_in_days=7" in written
    assert 'billing_mode="PAY_PER_REQUEST"' in written

    more = "\npulumi.export('arns', [data.arn, news.arn, runs.arn, log.arn, role.arn])\n"
    main.write_text(written + more)
    assert cli.preview() == []
    cli.run("up", "--yes", "--skip-preview", "--non-interactive")
    answer = cli.run("stack", "output", "arns", "--json")
    arns = json.loads(answer.out[answer.out.index("[") :])
    assert [arn.split(":")[2] for arn in arns] == ["s3", "sns", "dynamodb", "logs", "iam"]
