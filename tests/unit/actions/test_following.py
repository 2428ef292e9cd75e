"""Calls of more than one request."""

import msgspec
import pytest

from actions.base import Answer, Follow, Paging
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.following import MORE_HEADER, PAGES_HEADER, follow
from actions.specs.model import Operation
from actions.transport import Request
from tests.tables import every_row

BASE = "https://api.example"


class Backend:
    """Answers by method and URL, each from a script of its own, and keeps what it was asked."""

    def __init__(self, **script):
        self.script = {name.replace("_", " /", 1): list(answers) for name, answers in script.items()}
        self.asked = []
        self.slept = []

    async def send(self, request):
        self.asked.append(request)
        said = self.script[f"{request.method} {request.url.removeprefix(BASE)}"]
        entry = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(entry, Exception):
            raise entry
        return entry

    async def sleep(self, seconds):
        self.slept.append(seconds)

    async def follow(self, method, path, wanted, deadline=60.0, **extras):
        operation = Operation(id="x", method=method, path=path, extras=extras)
        request = Request(method, BASE + path, (("Content-Type", "application/json"),))
        return await follow(request, operation, wanted, self.send, deadline=deadline, sleep=self.sleep)


def said(document, *headers, status=200):
    return Answer(status=status, headers=headers, body=msgspec.json.encode(document))


ALL = Follow(pages=Paging(max=3))


async def test_all_pages_become_one_answer():
    backend = Backend(
        GET_a=[said({"value": [1], "nextLink": "/a2"})],
        GET_a2=[said({"value": [2], "nextLink": "/a3"})],
        GET_a3=[said({"value": [3]})],
    )
    answer = await backend.follow("GET", "/a", ALL)
    assert msgspec.json.decode(answer.body) == {"value": [1, 2, 3]}
    assert answer.header(PAGES_HEADER) == "3"
    assert answer.header(MORE_HEADER) is None


@every_row(
    ("link", "reason"),
    [
        ("https://evil.example/a", "the next page is at another origin (https://evil.example)"),
        ("http://api.example/a", "the next page is at another origin (http://api.example)"),
        ("/a", "the next page was read already"),
    ],
)
async def test_a_page_elsewhere_or_again_is_not_read(link, reason):
    backend = Backend(GET_a=[said({"value": [1], "nextLink": link})])
    answer = await backend.follow("GET", "/a", ALL)
    assert answer.header(MORE_HEADER) == reason
    assert len(backend.asked) == 1


async def test_reading_stops_at_the_most_pages():
    backend = Backend(**{f"GET_a{n}": [said({"value": [n], "nextLink": f"/a{n + 1}"})] for n in range(9)})
    answer = await backend.follow("GET", "/a0", ALL)
    assert msgspec.json.decode(answer.body)["value"] == [0, 1, 2]
    assert answer.header(MORE_HEADER) == "the most pages were read"


async def test_an_error_on_a_later_page_is_how_the_call_ends():
    backend = Backend(GET_a=[said({"value": [1], "nextLink": "/b"})], GET_b=[said({}, status=403)])
    assert (await backend.follow("GET", "/a", ALL)).status == 403
    backend = Backend(GET_a=[said({"value": [1], "nextLink": "/b"})], GET_b=[OutcomeUnknown("cut")])
    with pytest.raises(RetryLater, match="page 2: cut"):
        await backend.follow("GET", "/a", ALL)


async def test_waiting_asks_until_it_is_done():
    backend = Backend(
        POST_jobs=[said({}, ("operation-location", "/jobs/1"), ("retry-after", "3"), status=202)],
        **{
            "GET_jobs/1": [
                said({"status": "Running"}),
                OutcomeUnknown("cut"),
                said({"status": "Succeeded", "n": 7}),
            ]
        },
    )
    answer = await backend.follow("POST", "/jobs", Follow(wait=60.0))
    assert msgspec.json.decode(answer.body)["n"] == 7
    assert [one.method for one in backend.asked] == ["POST", "GET", "GET", "GET"]
    assert backend.slept[0] == 3.0
    assert backend.asked[1].header("content-type") is None


async def test_the_result_is_read_where_the_description_says():
    accepted = said({}, ("azure-asyncoperation", f"{BASE}/state"), ("location", "/result"), status=202)
    done = said({"status": "Succeeded"})
    backend = Backend(POST_a=[accepted], GET_state=[done], GET_result=[said({"n": 1})])
    assert (await backend.follow("POST", "/a", Follow(wait=60.0))).body == b'{"n":1}'
    backend = Backend(PUT_a=[accepted], GET_state=[done], GET_a=[said({"n": 2})])
    assert (await backend.follow("PUT", "/a", Follow(wait=60.0))).body == b'{"n":2}'


async def test_what_failed_after_it_was_accepted_is_refused_with_its_words():
    backend = Backend(
        POST_a=[said({}, ("location", "/s"), status=202)],
        GET_s=[said({"status": "Failed", "error": "no paper"})],
    )
    with pytest.raises(Refused, match=r"ended as failed: .*no paper"):
        await backend.follow("POST", "/a", Follow(wait=60.0))


async def test_what_is_not_done_in_time_has_an_unknown_outcome():
    backend = Backend(POST_a=[said({}, ("location", "/s"), ("retry-after", "30"), status=202)])
    with pytest.raises(OutcomeUnknown, match="not done in time"):
        await backend.follow("POST", "/a", Follow(wait=10.0))
    backend = Backend(POST_a=[said({}, ("location", "https://evil.example/s"), status=202)])
    with pytest.raises(OutcomeUnknown, match="another origin"):
        await backend.follow("POST", "/a", Follow(wait=10.0))


async def test_a_202_that_leads_nowhere_is_the_answer():
    backend = Backend(POST_a=[said({"ok": True}, status=202)])
    assert (await backend.follow("POST", "/a", Follow(wait=10.0))).status == 202


async def test_an_etag_is_read_and_sent():
    backend = Backend(GET_a=[said({}, ("etag", '"v1"'))], PUT_a=[said({})])
    await backend.follow("PUT", "/a", Follow(if_match=True))
    assert backend.asked[1].header("if-match") == '"v1"'
    assert backend.asked[0].header("content-type") is None


@every_row(
    ("answer", "error"),
    [
        (said({}), Refused),
        (said({}, status=404), Refused),
        (said({}, status=503), RetryLater),
        (OutcomeUnknown("cut"), RetryLater),
    ],
)
async def test_without_an_etag_nothing_is_changed(answer, error):
    backend = Backend(GET_a=[answer], PUT_a=[said({})])
    with pytest.raises(error):
        await backend.follow("PUT", "/a", Follow(if_match=True))
    assert [one.method for one in backend.asked] == ["GET"]


@every_row("status", [401, 403])
async def test_a_login_that_ends_while_waiting_is_no_reason_to_call_again(status):
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "/s"),))], GET_s=[Answer(status=status)]
    )
    with pytest.raises(OutcomeUnknown, match=f"it was accepted.*{status}"):
        await backend.follow("POST", "/a", Follow(wait=10))


@every_row("place", ["http://[", "//[/", "https://evil.example/s"])
async def test_a_state_that_cannot_be_asked_for_leaves_the_outcome_unknown(place):
    backend = Backend(POST_a=[Answer(status=202, headers=(("location", place),))])
    with pytest.raises(OutcomeUnknown, match="it was accepted"):
        await backend.follow("POST", "/a", Follow(wait=10))


async def test_a_refusal_to_ask_for_the_state_leaves_the_outcome_unknown():
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "/s"),))], GET_s=[Refused("no such URL")]
    )
    with pytest.raises(OutcomeUnknown, match="no such URL"):
        await backend.follow("POST", "/a", Follow(wait=10))


async def test_the_origin_of_a_state_or_page_may_be_spelt_in_another_way():
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "HTTPS://API.example:443/s#now"),))],
        GET_s=[Answer(status=200)],
        GET_b=[said({"value": [1], "nextLink": "https://API.example:443/b2"})],
        GET_b2=[said({"value": [2]})],
    )
    assert (await backend.follow("POST", "/a", Follow(wait=10))).status == 200
    answer = await backend.follow("GET", "/b", ALL)
    assert msgspec.json.decode(answer.body) == {"value": [1, 2]}


async def test_a_busy_backend_is_asked_for_its_state_again():
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "/s"),))],
        GET_s=[Answer(status=408), Answer(status=425), Answer(status=200)],
    )
    assert (await backend.follow("POST", "/a", Follow(wait=60))).status == 200


@every_row("status", [401, 403])
async def test_a_login_that_is_not_taken_is_told_when_the_etag_is_read(status):
    backend = Backend(GET_a=[Answer(status=status)])
    assert (await backend.follow("PUT", "/a", Follow(if_match=True))).status == status
    assert len(backend.asked) == 1


async def test_a_weak_etag_is_sent_as_it_came():
    backend = Backend(GET_a=[said({}, ("etag", 'W/"v1"'))], PUT_a=[said({})])
    await backend.follow("PUT", "/a", Follow(if_match=True))
    assert backend.asked[-1].header("if-match") == 'W/"v1"'


async def test_what_reads_carries_nothing_of_the_call_itself():
    asked = []

    async def send(request):
        asked.append(request)
        etag, place = ("etag", '"1"'), ("operation-location", "/s")
        return Answer(status=202 if request.method == "PUT" else 200, headers=(etag, place))

    async def sleep(seconds):
        del seconds

    own = (
        ("Content-Type", "application/json"),
        ("Idempotency-Key", '"k"'),
        ("X-Request-Key", "k"),
        ("Prefer", "respond-async"),
    )
    await follow(
        Request(
            "PUT", f"{BASE}/a", (*own, ("Accept", "application/json"), ("traceparent", "00-1-2-01")), b"{}"
        ),
        Operation(id="x", method="PUT", path="/a", key_header="X-Request-Key"),
        Follow(wait=10, if_match=True),
        send,
        deadline=60.0,
        sleep=sleep,
    )
    reads = [one for one in asked if one.method == "GET"]
    assert [one.url for one in reads] == [f"{BASE}/a", f"{BASE}/s"]
    for one in reads:
        assert one.body == b""
        assert {name.lower() for name, _ in one.headers} <= {"accept", "traceparent"}
    assert asked[1].header("if-match") == '"1"'


async def test_what_was_accepted_is_looked_at_again_and_not_sent_again():
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "/s"), ("retry-after", "5"), ("x", "y")))],
        GET_s=[
            Answer(status=202, headers=(("location", "/s2"), ("retry-after", "90"))),
            said({"status": "Succeeded", "id": 7}),
        ],
        GET_s2=[said({"id": 7})],
    )
    with pytest.raises(OutcomeUnknown, match="not done in time") as raised:
        await backend.follow("POST", "/a", Follow(wait=20))
    assert raised.value.accepted == (("location", "/s2"),)
    answer = await backend.follow("POST", "/a", Follow(wait=20, accepted=raised.value.accepted))
    assert msgspec.json.decode(answer.body) == {"id": 7}
    assert [one.method for one in backend.asked] == ["POST", "GET", "GET"]
    assert backend.slept == [5.0]  # before the second look it has slept enough


async def test_a_short_wait_looks_before_it_ends():
    backend = Backend(
        POST_a=[Answer(status=202, headers=(("location", "/s"),))],
        GET_s=[said({"status": "running"}), said({"status": "done"})],
    )
    answer = await backend.follow("POST", "/a", Follow(wait=0.5))
    assert msgspec.json.decode(answer.body) == {"status": "done"}
    assert all(seconds < 0.5 for seconds in backend.slept)


@every_row("place", ["https://evil.example/s", "/s"])
async def test_what_was_accepted_is_known_whatever_keeps_us_from_looking(place):
    backend = Backend(POST_a=[Answer(status=202, headers=(("location", place),))], GET_s=[Answer(status=401)])
    with pytest.raises(OutcomeUnknown) as raised:
        await backend.follow("POST", "/a", Follow(wait=20))
    assert raised.value.accepted == (("location", place),)


async def test_a_next_page_that_cannot_be_asked_for_is_the_end():
    backend = Backend(GET_a=[said({"value": [1], "nextLink": "/a[2]"})], **{"GET_a[2]": [Refused("no URL")]})
    answer = await backend.follow("GET", "/a", ALL)
    assert answer.header(MORE_HEADER) == "the next page cannot be asked for: no URL"
    assert msgspec.json.decode(answer.body)["value"] == [1]


async def test_what_reads_only_is_asked_past_a_hook():
    asked, performed = [], []

    async def ask(request):
        asked.append(request.method)
        return Answer(status=200, headers=(("etag", '"1"'),))

    async def perform(request):
        performed.append(request.method)
        return Answer(status=202, headers=(("location", "/s"),))

    async def sleep(seconds):
        del seconds

    answer = await follow(
        Request("PUT", f"{BASE}/a"),
        Operation(id="x", method="PUT", path="/a"),
        Follow(wait=10, if_match=True),
        perform,
        deadline=60.0,
        ask=ask,
        sleep=sleep,
    )
    assert (answer.status, performed, asked) == (200, ["PUT"], ["GET", "GET"])
