"""Delivery against a webhook that misbehaves, and Slack's limits."""

from __future__ import annotations

import pytest
import urllib3

from tests.workloads.functions.slack_server import slack_server
from workloads.functions import slack
from workloads.functions.state_items import TELL_LEASE_MS

MESSAGE = slack.Message(text="hello", blocks=(slack.section("*hello*"),))


@pytest.fixture
def server():
    with slack_server() as state:
        yield state


def test_throttling_server_errors_and_broken_connections_are_tried_again(server):
    waits: list[float] = []
    server.planned = [
        (429, {"Retry-After": "3"}),
        (503, {}),
        (0, {}),
        (500, {"Retry-After": "soon"}),
    ]
    slack.post(server.url, MESSAGE, sleep=waits.append)
    assert server.attempts == 5
    assert server.messages == [
        {
            "text": "hello",
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*", "verbatim": True}}
            ],
        }
    ]
    assert waits == [3.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("planned", "attempts", "sentence"),
    [
        ([(404, {})], 1, "Slack refused the message: HTTP 404 no_service"),
        ([(500, {})] * 9, 5, "in 5 attempts, the last: HTTP 500"),
        ([(429, {"Retry-After": "3600"})], 1, "asks to wait 3600 s"),
        ([(0, {})] * 9, 5, "no connection"),
    ],
)
def test_a_message_that_cannot_be_delivered_is_one_sentence_without_the_secret(
    server, planned, attempts, sentence
):
    server.planned = planned
    with pytest.raises(slack.SlackError, match=sentence) as caught:
        slack.post(server.url, MESSAGE, sleep=lambda _: None)
    assert server.attempts == attempts
    assert server.messages == []
    assert "secret-part" not in str(caught.value)


@pytest.mark.parametrize("answer_seconds", [0.0, 3.0, 9.9])
@pytest.mark.parametrize("retry_after", ["20", "7", "0"])
def test_a_slow_slack_ends_within_the_time_that_a_teller_has(server, answer_seconds, retry_after):
    """However long its answers and the waits that it asks for: 40 s, and one answer that was asked
    for before they were over.
    """
    now = [1000.0]

    def clock() -> float:
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def slow(*args, **more):
        now[0] += min(answer_seconds, more["timeout"].total)
        return answer(*args, **more)

    answer = urllib3.PoolManager.request
    server.planned = [(503, {"Retry-After": retry_after})] * 9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urllib3.PoolManager, "request", slow)
        with pytest.raises(slack.SlackError, match="did not take the message"):
            slack.post(server.url, MESSAGE, sleep=sleep, clock=clock)
    assert now[0] - 1000.0 <= 40.0
    assert now[0] - 1000.0 < TELL_LEASE_MS / 1000


@pytest.mark.parametrize("url", ["hooks.slack.com/services/x", "https://", "xoxb-token"])
def test_a_webhook_that_is_no_url_is_a_sentence(url):
    with pytest.raises(slack.SlackError, match="not a URL"):
        slack.post(url, MESSAGE, sleep=lambda _: None)


def test_messages_keep_to_slacks_limits():
    wild = "<!channel> & `tick` " * 400
    long = slack.Message(
        text=slack.escape(wild),
        blocks=(
            slack.header(wild),
            slack.section(slack.escape(wild)),
            slack.fields([("label", slack.code(wild))] * 12),
            *(slack.section(f"line {n}") for n in range(60)),
        ),
    )
    payload = long.payload()
    assert len(payload["blocks"]) == 50
    assert payload["blocks"][-1]["elements"][0]["text"].startswith("14 further parts")
    assert len(payload["blocks"][0]["text"]["text"]) <= 150
    assert len(payload["blocks"][1]["text"]["text"]) <= 3000
    assert len(payload["blocks"][2]["fields"]) == 10
    assert all(len(entry["text"]) <= 2000 for entry in payload["blocks"][2]["fields"])
    shown = payload["blocks"][1]["text"]["text"]
    assert "<" not in shown
    assert shown.count("&") == shown.count(";")  # no entity was cut in two


def test_outside_text_neither_calls_people_nor_links_nor_steers():
    wild = "<!channel> <http://x|y> #general @here http://example.com `\x1b[31m\u202e\n"
    message = slack.Message(
        text=slack.escape(wild),
        blocks=(
            slack.header(wild),
            slack.section(slack.escape(wild)),
            slack.fields([(wild, slack.code(wild))]),
            slack.context(slack.link("https://x/?a|b", wild)),
        ),
    )
    payload = message.payload()
    blocks = payload["blocks"]
    objects = [blocks[1]["text"], *blocks[2]["fields"], *blocks[3]["elements"]]
    assert all(text["verbatim"] is True for text in objects)
    shown = [payload["text"], blocks[0]["text"]["text"], blocks[1]["text"]["text"]]
    assert all(text.isprintable() for text in shown)
    assert not any(
        sign in text for text in (shown[0], shown[2], objects[1]["text"]) for sign in "<>"
    )
    assert objects[1]["text"].count("`") == 3, "the label's own, and two around the code"


def test_a_long_list_is_cut_at_a_line_end():
    lines = [f"• `column_{n}` moved" for n in range(500)]
    text = slack.section("\n".join(lines))["text"]["text"]
    assert len(text) <= 3000
    kept = text.split("\n")
    assert kept[-1] == "…"
    assert kept[:-1] == lines[: len(kept) - 1]
    assert len(kept) > 100


def test_a_sentence_begins_with_a_capital_unless_it_begins_with_an_address():
    assert [
        slack.sentence(text)
        for text in ("line 3 is short", "s3://bucket/a.csv: no data", "Done!", "")
    ] == [
        "Line 3 is short.",
        "s3://bucket/a.csv: no data.",
        "Done!",
        "",
    ]
