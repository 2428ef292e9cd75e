"""What a poll emits, remembers and obeys."""

import msgspec
import pytest

from service.config.values import CALL_PATTERN
from tests.tables import every_row
from tests.unit.triggers.poll.polls import Enough, Polls, answer, config
from triggers import SOURCES
from triggers.base import Finding
from triggers.errors import NotStored, SourceGap, SourceRejected, SourceUnavailable
from triggers.message import TriggerMessage
from triggers.poll import PollSource
from triggers.poll import config as config_module
from triggers.poll.memory import SEEN_KEY

A, B, C = ({"id": name, "n": number} for number, name in enumerate("abc"))


def test_it_is_registered_and_speaks_of_calls_as_rules_do():
    assert SOURCES["poll"] == "triggers.poll:PollSource"
    assert config_module.CALL_PATTERN == CALL_PATTERN
    assert PollSource.kind == "poll"


# -- what is new


async def test_the_first_poll_fires_nothing_and_remembers_everything():
    polls = Polls(item_id="item.id")
    await polls.run(answer([B, A]))
    assert polls.emitted.items == []
    await polls.run(answer([C, B, A]))
    assert polls.ids() == ["c"]
    assert polls.points == ["poll.answered", "poll.stored"] * 2


async def test_the_first_poll_may_emit():
    polls = Polls(item_id="item.id", first="emit")
    await polls.run(answer([B, A]))
    assert polls.ids() == ["a", "b"]


@every_row(("order", "ids"), [("newest-first", ["b", "c"]), ("oldest-first", ["c", "b"])])
async def test_the_oldest_is_emitted_first(order, ids):
    polls = Polls(item_id="item.id", order=order)
    await polls.run(answer([A]), answer([C, B, A]))
    assert polls.ids() == ids


async def test_a_message_of_an_item_is_as_documented():
    polls = Polls(item_id="item.id", first="emit", type="'shop.' + data.id", subject="data.s")
    await polls.run(answer(b' [ {"id": "a", "s": "x", "n": 1.10, "big": 12345678901234567890123} ] '))
    assert polls.emitted.messages == [
        TriggerMessage(
            id="a",
            source="/sources/orders",
            type="shop.a",
            subject="x",
            datacontenttype="application/json",
            format="json",
            data=b'{"id": "a", "s": "x", "n": 1.10, "big": 12345678901234567890123}',
            meta={"kind": "poll", "call": "shop.listOrders", "status": 200},
        )
    ]


async def test_items_at_a_plain_path_keep_their_bytes():
    polls = Polls(items="body.page.orders", item_id="item.id", first="emit")
    await polls.run(answer(b'{"page": {"orders": [{"id": 2, "n": 1.10}, {"id": 1}]}}'))
    assert polls.bodies() == [b'{"id": 1}', b'{"id": 2, "n": 1.10}']
    assert polls.ids() == ["1", "2"]


async def test_items_may_be_computed():
    polls = Polls(items="body.orders.filter(o, o.n > 0)", item_id="item.id", first="emit")
    await polls.run(answer({"orders": [C, B, A]}))
    assert [msgspec.json.decode(body or b"") for body in polls.bodies()] == [B, C]


async def test_no_items_are_no_items():
    polls = Polls(items="body.?orders", first="emit")
    await polls.run(
        answer({}), answer({"orders": None}), answer({"orders": []}), answer(b""), answer(b"", 204)
    )
    assert polls.emitted.items == []


async def test_equal_items_without_an_id_are_one():
    polls = Polls()
    await polls.run(answer([A]), answer([B, A]), answer([{**A, "n": 9}, B]))
    assert [msgspec.json.decode(body or b"") for body in polls.bodies()] == [B, {**A, "n": 9}]


async def test_a_body_that_is_no_list_is_one_item_whenever_it_is_another():
    polls = Polls()
    on, off = answer({"on": True}), answer({"on": False})
    await polls.run(on, on, off, off, on)
    await polls.run(on, off)
    assert polls.bodies() == [b'{"on":false}', b'{"on":true}', b'{"on":false}']
    assert len(set(polls.ids())) == 3


async def test_a_text_is_an_item_as_it_came():
    polls = Polls(first="emit")
    await polls.run(answer("Grüße".encode(), content_type="text/plain; charset=utf-8"))
    message = polls.emitted.messages[0]
    assert (message.data, message.format) == ("Grüße".encode(), "text")


async def test_what_is_emitted_once_is_known_for_as_long_as_it_is_in_the_answers():
    """Identities in the store end; an item that stays in a list for months must not come again."""
    polls = Polls(item_id="item.id", first="emit")
    await polls.run(answer([A]))
    for _ in range(3):
        await polls.run(answer([A]))
    assert len(polls.emitted.offered) == 1


async def test_an_item_without_an_id_is_kept_as_a_reject_once():
    polls = Polls(item_id="item.id", first="emit")
    bad = [{"name": "x"}, A, {"id": ""}, {"id": 1.5}]
    await polls.run(answer(bad), answer(bad))
    assert [one.reason for one in polls.emitted.rejects] == ["no-id"] * 3
    assert polls.ids() == ["a"]
    assert polls.emitted.rejects[2].data == b'{"name":"x"}'


async def test_an_item_whose_type_has_no_value_is_a_reject():
    polls = Polls(item_id="item.id", first="emit", type="data.missing")
    await polls.run(answer([A]), answer([A]))
    assert [one.reason for one in polls.emitted.rejects] == ["no-type"]


async def test_two_items_with_one_id_are_for_the_store_to_judge():
    polls = Polls(item_id="item.id", first="emit")
    await polls.run(answer([A, {**A, "n": 5}]))
    assert len(polls.emitted.offered) == 2
    assert len(polls.emitted.conflicts) == 1


async def test_nothing_known_in_an_answer_is_told():
    polls = Polls(item_id="item.id")
    await polls.run(answer([A]), answer([C, B]))
    assert "maybe-missed" in polls.report.warnings
    await polls.run(answer([C, B]))
    assert polls.report.warnings == {}


async def test_many_items_are_stored_in_parts_and_a_crash_between_repeats_none():
    items = [{"id": number} for number in range(1200)]
    polls = Polls(item_id="item.id", first="emit", order="oldest-first", state="{'n': size(items)}")
    source = await polls.opened(answer(items))
    emit = polls.emitted.begin()

    async def twice(batch, positions=None):
        if len(polls.emitted.batches) == 2:
            raise NotStored("full")
        return await emit(batch, positions)

    with pytest.raises(NotStored):
        await source.run(twice)
    assert [len(batch) for batch in polls.emitted.batches] == [500, 500]
    await polls.run(answer(items))
    assert [len(batch) for batch in polls.emitted.batches] == [500, 500, 200]
    assert polls.emitted.repeats == []
    assert polls.ids() == [str(number) for number in range(1200)]


async def test_what_was_not_stored_comes_again():
    polls = Polls(item_id="item.id", first="emit")
    polls.emitted.fail()
    with pytest.raises(NotStored):
        await polls.run(answer([A]))
    await polls.run(answer([A]))
    assert polls.ids() == ["a"]


async def test_a_quiet_poll_stores_nothing():
    polls = Polls(item_id="item.id")
    await polls.run(answer([A]), answer([A]), answer([A]))
    assert len(polls.emitted.batches) == 1


async def test_only_so_many_items_are_remembered():
    polls = Polls(item_id="item.id")
    await polls.run(answer([{"id": number} for number in range(12_000)]))
    assert len(polls.emitted.kept[SEEN_KEY]) == 12_000 * 12
    await polls.run(answer([{"id": 12_000}]))
    assert len(polls.emitted.kept[SEEN_KEY]) == 10_000 * 12


# -- state


async def test_the_state_of_an_answer_is_what_the_next_poll_asks_with():
    polls = Polls(
        **{"with": {"since": "${state.?since}", "limit": 10}},
        items="body.orders",
        state="{'since': body.as_of}",
    )
    await polls.run(answer({"orders": [], "as_of": "t1"}), answer({"orders": [], "as_of": "t2"}))
    await polls.run(answer({"orders": [], "as_of": "t3"}))
    assert [asked[0] for asked in polls.call.asked] == [{"since": "t2", "limit": 10}]
    assert polls.emitted.items == []


async def test_the_first_poll_sees_the_initial_state():
    polls = Polls(**{"with": {"cursor": "${state}"}}, initial="start", state="body.next")
    await polls.run(answer({"next": "n1"}), answer({"next": None}), answer({"next": "n2"}))
    assert [asked[0]["cursor"] for asked in polls.call.asked] == ["start", "n1", "n1"]


async def test_state_sees_headers_without_credentials_and_the_status():
    polls = Polls(state="{'headers': headers, 'status': status}")
    await polls.run(answer([], link="a", set_cookie="session=s3cret", x_api_key="k", etag="e"))
    headers = {"content-type": "application/json", "link": "a", "etag": "e"}
    assert msgspec.json.decode(polls.emitted.kept["memory"])["state"] == {"headers": headers, "status": 200}


async def test_repeated_headers_are_joined():
    polls = Polls(state="headers.link")
    twice = answer([])
    twice = msgspec.structs.replace(twice, headers=(*twice.headers, ("link", "a"), ("link", "b")))
    await polls.run(twice)
    assert msgspec.json.decode(polls.emitted.kept["memory"])["state"] == "a, b"


async def test_state_sees_the_new_items_the_state_before_and_the_body_before():
    polls = Polls(
        items="body",
        state="{'n': state.?n.orValue(0) + size(items), 'before': last}",
        initial={},
        item_id="item.id",
    )
    await polls.run(answer([A]), answer([B, A]), answer([C]))
    memory = msgspec.json.decode(polls.emitted.kept["memory"])
    assert memory["state"] == {"n": 4, "before": [B, A]}


async def test_the_body_before_survives_a_restart_only_when_something_looks_at_it():
    polls = Polls(**{"with": {"n": "${last == null ? 0 : size(last)}"}}, item_id="item.id")
    await polls.run(answer([B, A]))
    await polls.run(answer([B, A]))
    assert polls.call.asked[0][0] == {"n": 2}
    other = Polls(item_id="item.id")
    await other.run(answer([A]))
    assert "last" not in other.emitted.kept


async def test_a_long_body_is_not_kept():
    polls = Polls(**{"with": {"n": "${last == null}"}}, item_id="item.id")
    await polls.run(answer([{"id": "x" * 300_000}]), answer([A]))
    assert polls.call.asked[1][0] == {"n": True}
    assert "last-too-long" in polls.report.warned
    assert polls.report.warnings.keys() <= {"maybe-missed"}


async def test_inputs_without_a_value_are_refused_in_words():
    polls = Polls(**{"with": {"since": "${state.nothing}"}})
    with pytest.raises(SourceRejected, match=r"orders: `with:` has no value: /since"):
        await polls.run(answer([]))


async def test_an_expression_that_cannot_be_read_is_refused_at_open():
    with pytest.raises(SourceRejected, match="`items:`"):
        await Polls(items="body.").opened()
    with pytest.raises(SourceRejected, match="`with:`"):
        await Polls(**{"with": {"a": "${data}"}}).opened()


# -- the contract of 202, Retry-After and Location


async def test_the_polling_contract_of_202_and_location():
    polls = Polls(**{"with": {"top": 5}}, item_id="item.id")
    there = "https://shop.example/v1/orders"
    await polls.run(
        answer({}, 202, location=f"{there}?state=s1&top=5", retry_after="15"),
        answer({}, 202, location="/v1/orders?state=s2", retry_after="20"),
        answer([A], location=f"{there}?state=s3"),
        answer({}, 202, location=there, retry_after="0"),
        answer([B]),
    )
    assert [asked[1] for asked in polls.call.asked] == [
        (),
        (("state", "s1"), ("top", "5")),
        (("state", "s2"),),
        (("state", "s3"),),
        (),
    ]
    assert polls.pauses == [15.0, 20.0, 60.0, 1.0, 60.0]
    assert polls.ids() == ["a", "b"]  # the first call has set the state


@every_row(
    "location",
    [
        "https://evil.example/v1/orders?state=x",
        "http://shop.example/v1/orders?state=x",
        "https://shop.example:8443/v1/orders?state=x",
        "https://shop.example/v1/admin?state=x",
        "//evil.example/v1/orders?state=x",
        "../admin?state=x",
        "https://[::1/?x",
        "?" + "&".join(f"a{n}=1" for n in range(200)),
        "?a=" + "x" * 10_000,
    ],
)
async def test_a_location_elsewhere_is_told_and_not_followed(location):
    polls = Polls()
    await polls.run(answer({}, 202, location=location), answer({}, 202))
    assert polls.call.asked[1][1] == ()
    assert "location-ignored" in polls.report.warned


@every_row("path", ["https://SHOP.example:443/v1/orders", "/v1/%6frders", "/v1/../v1/orders", ""])
async def test_a_location_may_write_the_same_address_otherwise(path):
    polls = Polls()
    await polls.run(answer({}, 202, location=f"{path}?state=x"), answer({}, 202))
    assert polls.call.asked[1][1] == (("state", "x"),)


async def test_credentials_in_a_location_are_left_out():
    polls = Polls()
    await polls.run(
        answer({}, 202, location="?api_key=k&access_token=t&page_token=p&sig=1&nextToken=n"), answer({}, 202)
    )
    assert polls.call.asked[1][1] == (("page_token", "p"), ("nextToken", "n"))


async def test_parameters_that_the_operation_has_not_are_told():
    polls = Polls()
    await polls.run(msgspec.structs.replace(answer({}, 202), ignored=("state",)))
    assert "no query parameter state" in polls.report.warnings["location-ignored"][0]


@every_row(
    ("text", "pause"),
    [
        ("30", 30.0),
        ("0", 1.0),
        ("999999999", 86_400.0),
        ("Mon, 12 Jan 1970 13:47:10 GMT", 30.0),
        ("Mon, 12 Jan 1970 13:47:10 -0000", 30.0),
        ("soon", 60.0),
        ("-5", 60.0),
    ],
)
async def test_retry_after_is_obeyed_within_bounds(text, pause):
    polls = Polls()
    await polls.run(answer([], retry_after=text))
    assert polls.pauses == [pause]


@every_row("status", [429, 503])
async def test_a_backend_that_asks_to_wait_is_left_alone(status):
    polls = Polls(first="emit")
    await polls.run(answer({}, status, retry_after="120"), answer([A]))
    assert polls.pauses == [120.0, 60.0]
    assert polls.report.warned == ["asked-to-wait"]
    assert polls.report.warnings == {}
    with pytest.raises(SourceUnavailable, match=str(status)):
        await polls.run(answer({}, status))


async def test_an_unchanged_answer_is_asked_for_by_its_etag():
    polls = Polls(item_id="item.id", **{"with": {"n": "${state.?n}"}}, state="{'n': size(items)}")
    await polls.run(answer([A], etag='"v1"'), answer([A], etag='"v2"'), answer(b"", 304), answer([B, A]))
    assert [asked[2] for asked in polls.call.asked] == [
        None,
        None,  # it asks with another state
        {"if-none-match": '"v2"'},
        {"if-none-match": '"v2"'},
    ]
    assert polls.ids() == ["b"]


async def test_what_may_change_something_is_not_asked_conditionally():
    polls = Polls()
    await polls.run(answer([A], etag='"v1"'), answer([A]), safe=False)
    assert polls.call.asked[1][2] is None


# -- what goes wrong


@every_row(
    ("status", "error", "words"),
    [
        (401, SourceUnavailable, "check the `auth` of connection shop"),
        (403, SourceUnavailable, "check the `auth` of connection shop"),
        (404, SourceUnavailable, "answered 404: nope"),
        (500, SourceUnavailable, "answered 500"),
        (302, SourceRejected, "redirects are not followed"),
        (400, SourceRejected, "answered 400"),
        (410, SourceRejected, "answered 410"),
    ],
)
async def test_a_status_says_what_to_do(status, error, words):
    polls = Polls(first="emit")
    with pytest.raises(error, match=words):
        await polls.run(answer(b"nope" + b"x" * 1000, status))
    assert polls.emitted.batches == []


async def test_a_state_that_is_gone_is_a_gap():
    polls = Polls(state="{'n': 7}")
    await polls.run(answer([]))
    with pytest.raises(SourceGap, match="what the state asks for is gone") as caught:
        await polls.run(answer({}, 410))
    assert caught.value.facts == {"state": {"n": 7}}
    assert "sources rewind orders --to now" in caught.value.fix


@every_row("error", [SourceUnavailable("no answer"), SourceRejected("never")])
async def test_what_the_call_raises_ends_the_run(error):
    with pytest.raises(type(error)):
        await Polls().run(error)


@every_row(
    ("bad", "reason"),
    [
        (msgspec.structs.replace(answer(b'[{"id": 1}, {"i'), truncated=True), "answer-cut"),
        (answer(b"[1, 2"), "invalid-json"),
        (answer(b"\xff", content_type="text/plain"), "invalid-utf8"),
        (answer(b"x", content_type="text/plain; charset=utf-16"), "unsupported-charset"),
        (answer(b"[" * 70 + b"]" * 70), "too-deep"),
        (answer({"orders": {"id": 1}}), "no-items"),
        (answer([1]), "no-items"),
        (answer({"orders": [], "state": 1}), "no-state"),
        (answer({"orders": [], "as_of": "x" * 70_000}), "state-too-long"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_kept_once_and_changes_nothing(bad, reason):
    good = {"orders": [A], "as_of": 1}
    polls = Polls(items="body.?orders", item_id="item.id", state="{'as_of': body.as_of}", first="emit")
    await polls.run(bad, bad, bad)
    assert [one.reason for one in polls.emitted.rejects] == [reason]
    assert polls.emitted.rejects[0].data == bad.body
    assert "bad-answer" in polls.report.warnings
    await polls.run(answer(good))
    assert polls.ids() == ["a"]
    assert polls.report.warnings == {}
    await polls.run(bad)
    assert len(polls.emitted.rejects) == 2


async def test_positions_of_something_else_are_refused_in_words():
    polls = Polls()
    polls.emitted.kept["memory"] = b"{"
    with pytest.raises(SourceRejected, match="sources rewind orders --to now"):
        await polls.run(answer([]))


# -- time


async def test_the_interval_goes_from_start_to_start_with_some_jitter():
    polls = Polls(every="100s")
    for chance in (0.0, 0.5, 1.0):
        polls.chance = chance
        await polls.run(answer([]))
    assert polls.pauses == pytest.approx([90.0, 100.0, 110.0])
    source = await polls.opened()
    assert source._pause(None, 30.0) == pytest.approx(80.0)
    assert source._pause(None, 500.0) == pytest.approx(10.0)
    assert source._pause(None, -500.0) == pytest.approx(110.0)


# -- looking, rewinding


async def test_check_calls_once_and_stores_nothing():
    polls = Polls(**{"with": {"n": "${state.?n}"}}, state="{'n': 1}")
    await polls.run(answer([A]))
    source = await polls.opened(answer([B]))
    assert await source.check() == []
    assert polls.call.asked[0][0] == {"n": 1}
    assert len(polls.emitted.batches) == 1


@every_row("bad", [answer({}, 401), answer({}, 400), answer({}, 410), SourceUnavailable("no answer")])
async def test_check_says_what_is_wrong(bad):
    source = await Polls().opened(bad)
    (found,) = await source.check()
    assert isinstance(found, Finding)
    assert (found.severity, found.code, bool(found.fix)) == ("error", "poll-failed", True)


async def test_check_does_not_call_what_may_change_something():
    polls = Polls()
    source = await polls.opened(safe=False)
    assert await source.check() == []
    assert polls.call.asked == []


async def test_rewinding_to_now_forgets_and_fires_nothing():
    polls = Polls(item_id="item.id", first="emit")
    await polls.run(answer([A], location="?p=1"))
    source = await polls.opened()
    changes = source.rewind(polls.emitted.kept, "now")
    assert changes.pop("memory") is not None
    assert set(changes.values()) == {None}
    await polls.emitted.begin()([], source.rewind(polls.emitted.kept, "now"))
    await polls.run(answer([B, A]), answer([C, B, A]))
    assert polls.call.asked[0][1] == ()
    assert polls.ids() == ["a", "c"]


async def test_rewinding_to_the_earliest_emits_everything_again():
    polls = Polls(item_id="item.id")
    await polls.run(answer([A]))
    source = await polls.opened()
    await polls.emitted.begin()([], source.rewind(polls.emitted.kept, "earliest"))
    await polls.run(answer([B, A]), answer([C, B, A]))
    assert polls.ids() == ["a", "b", "c"]


async def test_rewinding_does_not_use_the_id_of_a_change_twice():
    polls = Polls(first="emit")
    await polls.run(answer({"n": 1}), answer({"n": 2}))
    source = await polls.opened()
    await polls.emitted.begin()([], source.rewind(polls.emitted.kept, "earliest"))
    await polls.run(answer({"n": 1}))
    assert len(polls.ids()) == len(set(polls.ids())) == 3


async def test_rewinding_elsewhere_is_refused_and_rubbish_is_forgotten():
    source = await Polls().opened()
    with pytest.raises(SourceRejected, match="now or earliest"):
        source.rewind({}, "2026-01-01T00:00:00Z")
    assert source.rewind({"memory": b"{"}, "now") == {"memory": None}


async def test_progress_changes_when_something_was_taken():
    polls = Polls(first="emit")
    source = await polls.opened(answer([A]), answer([A]))
    before = await source.progress()
    with pytest.raises(Enough):
        await source.run(polls.emitted.begin())
    assert before.pending is None
    assert (await source.progress()).position != before.position


def test_a_poll_without_an_item_id_is_warned_of():
    assert [one.code for one in PollSource("orders", config()).review()] == ["no-item-id"]
    assert PollSource("orders", config(item_id="item.id")).review() == []


@every_row("bad", [{"every": "500ms"}, {"every": "40d"}, {"call": "listOrders"}, {"items": ""}])
def test_a_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError, match="validation error"):
        config(**bad)


async def test_a_source_that_is_not_open_says_so():
    source = PollSource("orders", config())
    with pytest.raises(SourceRejected, match="not open"):
        await source.check()
    await source.close()
    await source.close()
