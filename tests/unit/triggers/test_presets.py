"""Presets: where id, type, subject and time of each provider are found; and the templates they are written in."""

from typing import Any

from tests.tables import every_row
from triggers.presets import PRESETS
from triggers.templates import compile_templates

_CASES: list[tuple[str, dict[str, str], Any, str | None, str | None, str | None, str | None]] = [
    (
        "github",
        {"x-github-event": "issues", "x-github-delivery": "d-1"},
        {"action": "opened", "repository": {"full_name": "o/r"}},
        "d-1",
        "com.github.issues.opened",
        "o/r",
        None,
    ),
    ("github", {"x-github-event": "push"}, {"ref": "x"}, None, "com.github.push", None, None),
    ("github", {}, {"organization": {"login": "o"}}, None, "com.github", "o", None),
    (
        "gitlab",
        {"idempotency-key": "i-1", "x-gitlab-event-uuid": "u"},
        {
            "object_kind": "note",
            "object_attributes": {"noteable_type": "MergeRequest", "note": "hi"},
            "project": {"path_with_namespace": "g/p"},
        },
        "i-1",
        "com.gitlab.note.merge_request",
        "g/p",
        None,
    ),
    (
        "gitlab",
        {"x-gitlab-event-uuid": "u"},
        {"object_kind": "merge_request", "object_attributes": {"action": "open"}},
        "u",
        "com.gitlab.merge_request.open",
        None,
        None,
    ),
    ("gitlab", {}, {"object_kind": "build", "build_id": 1, "build_status": "failed"}, None, "com.gitlab.job.failed", None, None),
    (
        "gitlab",
        {},
        {"object_kind": "pipeline", "object_attributes": {"status": "success", "stages": []}},
        None,
        "com.gitlab.pipeline.success",
        None,
        None,
    ),
    ("gitlab", {}, {"event_name": "user_create"}, None, "com.gitlab.user_create", None, None),
    ("gitea", {"x-gitea-event": "push", "x-gitea-delivery": "d"}, {}, "d", "com.gitea.push", None, None),
    ("gogs", {"x-gogs-event": "create", "x-gogs-delivery": "d"}, {}, "d", "io.gogs.create", None, None),
    (
        "bitbucket",
        {"x-event-key": "pullrequest:created", "x-request-uuid": "r"},
        {"repository": {"full_name": "t/r"}},
        "r",
        "org.bitbucket.pullrequest.created",
        "t/r",
        None,
    ),
    (
        "bitbucket",
        {"x-request-id": "r"},
        {"eventKey": "pr:opened", "repository": {"slug": "r", "project": {"key": "P"}}},
        "r",
        "org.bitbucket.pr.opened",
        "P/r",
        None,
    ),
    (
        "stripe",
        {},
        {"id": "evt_1", "type": "charge.succeeded", "created": 1614265330, "data": {"object": {"id": "ch_1"}}},
        "evt_1",
        "com.stripe.charge.succeeded",
        "ch_1",
        "2021-02-25T15:02:10Z",
    ),
    (
        "slack",
        {},
        {"event_id": "Ev1", "type": "event_callback", "event": {"type": "app_mention"}, "team_id": "T", "event_time": 0},
        "Ev1",
        "com.slack.app_mention",
        "T",
        "1970-01-01T00:00:00Z",
    ),
    ("slack", {}, {"command": "/go", "trigger_id": "1.2"}, "1.2", "com.slack.command", None, None),
    (
        "shopify",
        {
            "x-shopify-topic": "orders/create",
            "x-shopify-webhook-id": "w",
            "x-shopify-shop-domain": "s.example",
            "x-shopify-triggered-at": "2024-01-02T03:04:05.678Z",
        },
        {"id": 1},
        "w",
        "com.shopify.orders.create",
        "s.example",
        "2024-01-02T03:04:05.678Z",
    ),
    ("shopify", {"x-shopify-topic": "a/b", "x-shopify-event-id": "e"}, {}, "e/a/b", "com.shopify.a.b", None, None),
    (
        "twilio",
        {"i-twilio-idempotency-token": "t"},
        {"MessageSid": "SM1", "MessageStatus": "sent"},
        "t",
        "com.twilio.message.sent",
        "SM1",
        None,
    ),
    ("twilio", {}, {"CallSid": "CA1"}, None, "com.twilio.call", "CA1", None),
    ("sendgrid", {}, [{"event": "open"}], None, "com.sendgrid.events", None, None),
    (
        "standard-webhooks",
        {"webhook-id": "msg_1"},
        {"type": "order.paid", "timestamp": "2022-11-03T20:26:10.344522Z"},
        "msg_1",
        "order.paid",
        None,
        "2022-11-03T20:26:10.344522Z",
    ),
]  # fmt: skip


@every_row(("name", "headers", "data", "id_", "type_", "subject", "time"), _CASES)
def test_attributes_are_found(
    name: str,
    headers: dict[str, str],
    data: Any,
    id_: str | None,
    type_: str | None,
    subject: str | None,
    time: str | None,
) -> None:
    preset = PRESETS[name]
    found = [
        compile_templates(part)(headers, data)
        for part in (preset.id, preset.type, preset.subject, preset.time)
    ]
    assert found == [id_, type_, subject, time]


@every_row("name", PRESETS)
@every_row("data", [None, [], {}, "x", 1, {"action": {}}, {"action": True}, {"repository": []}])
def test_any_body_will_do(name: str, data: Any) -> None:
    preset = PRESETS[name]
    for part in (preset.id, preset.type, preset.subject, preset.time):
        assert compile_templates(part)({}, data) is None or part is preset.type


@every_row(
    ("template", "expected"),
    [
        ("{data.a}", "x"),
        ("{data.none}", None),
        ("a[.{data.none}]b", "ab"),
        ("a[.{data.a}]b", "a.xb"),
        ("t{?data.a}", "t"),
        ("t{?data.none}", None),
        ("t{?data.list}", "t"),
        ("{data.list}", None),
        ("{data.n}", "7"),
        ("{data.yes}", None),
        ("{data.long}", None),
        ("{data.control}", None),
        ("{data.path|dots}", "a.b.c"),
        ("{data.camel|snake}", "merge_request"),
        ("{header.h|unquoted}", "key"),
        ("{data.a|instant}", None),
        ("{data.huge|instant}", None),
    ],
)
def test_templates(template: str, expected: str | None) -> None:
    data = {
        "a": "x", "n": 7, "yes": True, "list": [1], "long": "x" * 1025, "control": "a\nb", "path": "a:b/c",
        "camel": "MergeRequest", "huge": 10**15,
    }  # fmt: skip
    assert compile_templates((template,))({"h": '"key"'}, data) == expected


def test_the_first_template_with_a_value_counts() -> None:
    render = compile_templates(("{data.a}", "{data.b}", "c"))
    assert [render({}, data) for data in ({"a": "1", "b": "2"}, {"b": "2"}, {})] == ["1", "2", "c"]
