"""What a request means: routes, refusals before the body, answers after storing, and other people's bugs."""

import asyncio

import pytest

from service.errors import Unavailable
from tests.fakes.ingest import Answer, AnySource, Client, FakeHooks, House, request
from triggers.base import Accepted, Batch, HttpRequest, Reject, Reply, problem


@pytest.fixture
async def house() -> House:
    return House()


def ask(house: House, data: bytes) -> Answer:
    return house.client().send(data).answer


async def test_a_stored_message_is_202_with_its_id(house: House) -> None:
    answer = ask(house, request(b"abc"))
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == b'{"id":"msg_1_0"}'
    assert [name for name, _ in house.hooks.stored] == ["x"]


async def test_several_messages_are_202_with_all_ids(house: House) -> None:
    item = Reject(reason="any", detail="", data=b"")
    house.source.reaction = lambda _: Batch(items=(item, item))
    assert ask(house, request()).json == {"ids": ["msg_1_0", "msg_1_1"]}


async def test_nothing_to_store_is_answered_without_the_store(house: House) -> None:
    house.source.reaction = lambda _: Batch(items=())
    assert ask(house, request()).json == {"ids": []}
    assert house.hooks.stored == []


async def test_the_source_may_choose_the_answer(house: House) -> None:
    reply = Reply(status=200, headers=(("x-a", "b"),), body=b"OK")
    house.source.reaction = lambda _: Batch(items=(Reject(reason="", detail="", data=b""),), reply=reply)
    answer = ask(house, request())
    assert (answer.status, answer.headers["x-a"], answer.body) == (200, "b", b"OK")
    assert len(house.hooks.stored) == 1


async def test_the_source_may_refuse(house: House) -> None:
    house.source.reaction = lambda _: problem(401, "signature", "No.")
    client = house.client().send(request())
    assert client.answer.status == 401
    assert not client.over
    assert house.hooks.stored == []


async def test_the_source_sees_the_request_as_it_was(house: House) -> None:
    ask(house, request(b"abc", "X-Event: p\xe9", target="/hooks/x?a=%20b&c"))
    (seen,) = house.source.requests
    assert seen == HttpRequest(
        method="POST",
        target="/hooks/x?a=%20b&c",
        path="/hooks/x",
        query="a=%20b&c",
        headers=(("host", "hooks.example"), ("x-event", "p\xe9"), ("content-length", "3")),
        body=b"abc",
        peer="192.0.2.1",
        scheme="http",
        host="hooks.example",
        now=1_780_000_000.0,
    )


async def test_a_target_in_absolute_form_names_the_host() -> None:
    house = House()
    ask(house, request(target="http://other.example:81/hooks/x?a"))
    (seen,) = house.source.requests
    assert (seen.host, seen.path, seen.query) == ("other.example:81", "/hooks/x", "a")
    assert seen.target == "http://other.example:81/hooks/x?a"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/hooks",
        "/hooks/",
        "/hooks/other",
        "/hooks/x/",
        "/hooks/x/y",
        "/hooks//x",
        "//hooks/x",
        "/hooks/%78",
        "/hooks/x%2f",
        "/hooks/..%2fx",
        "/hooks/.",
        "/hooks/..",
        "/hooks/./x",
        "/hooks/../hooks/x",
        "/HOOKS/x",
        "/hooks/x#y",
        "/hooks/x;y",
        "/hooks/x\\y",
        "/hooks/" + "x" * 200,
        "hooks/x",
        "ftp://a/hooks/x",
        "http://a",
        "/api/v1/rules",
        "/metrics",
    ],
)
async def test_everything_else_is_the_same_404(house: House, target: str) -> None:
    answer = ask(house, request(b"", target=target))
    assert answer.status == 404
    assert answer.slug == "not-found"
    assert answer.body == ask(house, request(b"", target="/nothing")).body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "FROB", "post", "TRACE", "CONNECT", "OPTIONS"])
async def test_a_method_that_the_source_does_not_take_is_405(house: House, method: str) -> None:
    answer = ask(house, request(b"", method=method))
    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_methods_that_the_source_takes_reach_it(house: House) -> None:
    house.hooks.sources["readable"].reaction = lambda _: Reply(status=200, body=b"challenge")
    got = ask(house, request(b"", method="GET", target="/hooks/readable?hub.challenge=1"))
    assert (got.status, got.body) == (200, b"challenge")
    client = house.client().send(request(b"", method="HEAD", target="/hooks/readable"))
    (bare,) = client.answers(bare=True)
    assert bare.headers["content-length"] == "9"
    assert client.wire.written.endswith(b"\r\n\r\n")


async def test_until_rules_are_loaded_it_is_503(house: House) -> None:
    house.hooks.ready = False
    answer = ask(house, request())
    assert (answer.status, answer.slug) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert ask(house, request(b"", target="/other")).status == 404
    house.hooks.ready = True
    assert ask(house, request()).status == 202


@pytest.mark.parametrize("after", [None, 0.0, 0.2, 2.5])
async def test_a_store_that_is_busy_is_503_with_its_own_time(house: House, after: float | None) -> None:
    house.hooks.error = Unavailable("the disk is nearly full", after)
    client = house.client().send(request())
    assert client.answer.status == 503
    assert client.answer.headers["retry-after"] == {None: "5", 0.0: "1", 0.2: "1", 2.5: "3"}[after]
    assert "disk" not in client.answer.body.decode()
    assert not client.over


async def settle(house: House, error: Exception | None) -> Client:
    house.hooks.later = True
    client = house.client().send(request())
    assert client.answers() == []
    (future,) = house.hooks.waiting
    if error is None:
        future.cancel()
    else:
        future.set_exception(error)
    await asyncio.sleep(0)
    return client


async def test_storing_that_turns_out_impossible_is_503(house: House) -> None:
    answer = (await settle(house, Unavailable("the commit queue is old", 7))).answer
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")


async def test_storing_that_was_cancelled_is_503(house: House) -> None:
    assert (await settle(house, None)).answer.status == 503


async def test_what_ends_the_process_is_not_an_answer(house: House) -> None:
    class Ends(BaseException):
        pass

    house.hooks.error = Ends()
    with pytest.raises(Ends):
        house.client().send(request())


async def test_storing_that_breaks_is_500_and_reported(house: House) -> None:
    error = RuntimeError("secret inside")
    answer = (await settle(house, error)).answer
    assert (answer.status, answer.slug) == (500, "internal-error")
    assert b"secret" not in answer.body
    assert house.reported == [("x", error)]


async def test_a_bug_of_a_source_is_500_once_reported_and_touches_nobody_else(house: House) -> None:
    house.hooks.sources["y"] = AnySource()

    def broken(request: HttpRequest) -> Reply | Batch:
        raise KeyError(request.body)

    house.source.reaction = broken
    client = house.client()
    for body in (b"1", b"2"):
        client.send(request(body))
    client.send(request(target="/hooks/y"))
    assert [answer.status for answer in client.answers()] == [500, 500, 202]
    assert [(name, type(error)) for name, error in house.reported] == [("x", KeyError)]
    assert not client.over


@pytest.mark.parametrize("stored", [False, True])
async def test_an_answer_that_http_does_not_allow_is_500_before_anything_is_stored(
    house: House, stored: bool
) -> None:
    reply = Reply(status=200, headers=(("x-reflected", "a\r\nset-cookie: b=c"),))
    item = Reject(reason="", detail="", data=b"")
    house.source.reaction = lambda _: Batch(items=(item,), reply=reply) if stored else reply
    client = house.client().send(request())
    assert client.answer.status == 500
    assert b"cookie" not in client.wire.written
    assert house.hooks.stored == []


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(house: House) -> None:
    client = house.client().send(request(b"", "Content-Length: 100001"))
    assert (client.answer.status, client.answer.slug) == (413, "body-too-large")
    assert client.answer.headers["connection"] == "close"
    assert ask(house, request(b"x" * 100_000)).status == 202


async def test_a_compressed_body_is_415(house: House) -> None:
    answer = ask(house, request(b"x", "Content-Encoding: gzip"))
    assert (answer.status, answer.slug) == (415, "content-coding-unsupported")
    assert answer.headers["accept-encoding"] == "identity"
    assert house.source.requests == []


async def test_proxies_that_are_trusted_are_believed_and_others_are_not() -> None:
    house = House(proxies=("192.0.2.0/24",))
    data = request(
        b"{}", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: pub.example"
    )
    house.client("192.0.2.7").send(data)
    house.client("198.51.100.7").send(data)
    assert [(seen.peer, seen.scheme, seen.host) for seen in house.source.requests] == [
        ("203.0.113.9", "https", "pub.example"),
        ("198.51.100.7", "http", "hooks.example"),
    ]


async def test_the_fake_hooks_store_as_real_ones_do() -> None:
    accepted = await FakeHooks().accept("x", Batch(items=(Reject(reason="", detail="", data=b""),)))
    assert accepted == Accepted(new=1, ids=("msg_1_0",))
