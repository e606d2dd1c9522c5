"""Hooks of the program run around what a deployment does with a resource, and may have a failed
operation tried again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.localcloud.deploying import aws_client, failure, run

HOOKED = """
    from pathlib import Path

    calls = Path(__file__).with_name("calls.txt")


    def note(text):
        calls.write_text((calls.read_text() if calls.exists() else "") + text + "\\n")


    def failed(args):
        note(f"{{args.failed_operation}} {{len(args.errors)}} {{args.old_outputs['bucket'] == args.id}}")
        return args.failed_operation == "delete" and len(args.errors) < 3


    def told(kind):
        def hook(args):
            note(f"{{kind}} {{args.old_inputs['tags']}} {{(args.new_inputs or {{}}).get('tags')}}")

        return pulumi.ResourceHook(kind, hook)


    hooks = pulumi.ResourceHookBinding(
        before_update=[told("before update")],
        after_update=[told("after update")],
        before_delete=[told("before delete")],
        after_delete=[told("after delete")],
        on_error=[pulumi.ErrorHook("failed", failed)],
    )
    {bucket}
"""


def _bucket(tags: dict[str, Any]) -> str:
    return (
        f'aws.s3.Bucket("hooked", tags={json.dumps(tags)},'
        " opts=pulumi.ResourceOptions(hooks=hooks))"
    )


def test_hooks_run_around_updates_and_deletions_and_have_them_tried_again(tmp_path: Path) -> None:
    first = run(tmp_path, HOOKED.format(bucket=_bucket({"a": "1"})))
    second = run(tmp_path, HOOKED.format(bucket=_bucket({"a": "2"})), previous=first.state)
    aws_client()("s3").put_object(
        Bucket=first.resource("aws:s3/bucket:Bucket", "hooked").id, Key="full", Body=b"x"
    )
    error = failure(tmp_path, HOOKED.format(bucket=""), previous=second.state)
    (words,) = [each.message for each in error.failures]
    assert words.startswith("s3:DeleteBucket answered BucketNotEmpty: ")  # the CLI's words
    assert "hooked': not deleted: s3:DeleteBucket" in str(error)
    told = (tmp_path / "calls.txt").read_text().splitlines()
    assert told == [
        "before update {'a': '1'} {'a': '2'}",
        "after update {'a': '1'} {'a': '2'}",
        "before delete {'a': '2'} None",
        "delete 1 True",
        "delete 2 True",
        "delete 3 True",
    ]
    unregistered = failure(tmp_path, "pass", previous=second.state)
    (words,) = [each.message for each in unregistered.failures]
    assert words.startswith('hook "before delete" was not registered')  # the CLI's words
    assert "the program has to register it" in words
    forbidden = HOOKED.replace(
        "def hook(args):", "def hook(args):\n            raise OSError('no')"
    )
    stopped = failure(tmp_path, forbidden.format(bucket=""), previous=second.state)
    assert [each.message for each in stopped.failures] == ['before hook "before delete" failed: no']


AFTERWARDS = """
    def fails(args):
        raise OSError("no")


    hooks = pulumi.ResourceHookBinding(
        after_create=[pulumi.ResourceHook("made", fails)],
        after_update=[pulumi.ResourceHook("changed", fails)],
        after_delete=[pulumi.ResourceHook("gone", fails)],
    )
    {bucket}
    user = aws.sqs.Queue("beside", tags={{"of": bucket.id}})
"""


def test_what_was_done_before_a_hook_failed_stays_done(tmp_path: Path) -> None:
    s3 = aws_client()("s3")
    made = failure(tmp_path, AFTERWARDS.format(bucket=f"bucket = {_bucket({'a': '1'})}"))
    assert [each.message for each in made.failures] == ['after hook "made" failed: no']
    assert made.state is not None
    kept = {each.name: each for each in made.state.resources}
    assert "beside" in kept, "what depends on it is made all the same"
    bucket = kept["hooked"].id
    changed = failure(
        tmp_path,
        AFTERWARDS.format(bucket=f"bucket = {_bucket({'a': '2'})}"),
        previous=made.state,
    )
    assert [each.message for each in changed.failures] == ['after hook "changed" failed: no']
    assert changed.state is not None
    now = next(each for each in changed.state.resources if each.name == "hooked")
    assert (now.id, now.inputs["tags"]) == (bucket, {"a": "2"})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "2"}]
    gone = failure(
        tmp_path,
        AFTERWARDS.format(bucket="").replace("bucket.id", '"none"'),
        previous=changed.state,
    )
    assert [each.message for each in gone.failures] == ['after hook "gone" failed: no']
    assert gone.state is not None
    assert [each.name for each in gone.state.resources if each.custom] == ["beside"]
    assert bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}
