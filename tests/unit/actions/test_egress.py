import asyncio
import logging
import random

import pytest

from actions.addresses import read_server
from actions.base import Answer
from actions.egress import Egress, Transport, read_egress
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.transport import EngineSettings, Request
from tests.tables import every_row
from tests.unit.actions.calling import OK, Clock, Names, ScriptedEngine

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"
GET = Request("GET", "https://shop.example/v1/orders")


def server(url="https://shop.example/v1"):
    found, problems = read_server(url)
    assert not problems
    return found


class Setup:
    def __init__(self, *script, url="https://shop.example/v1", egress="public"):
        self.clock = Clock()
        self.names = Names(*script)
        place = server(url)
        self.engine = ScriptedEngine(EngineSettings(name="shop", host=place.host))
        self.transport = Transport(
            name="shop",
            server=place,
            egress=read_egress(egress),
            engine=self.engine,
            resolver=self.names,
            clock=self.clock,
            max_answer_bytes=100,
        )

    async def get(self, deadline=5.0):
        return await self.transport.send(GET, deadline=deadline)


# -- what may be called


@every_row(
    ("egress", "url", "address", "allowed"),
    [
        ("public", "https://h.example", PUBLIC, True),
        ("public", "https://h.example", "10.0.0.1", False),
        ("public", "https://h.example", "::ffff:10.0.0.1", False),
        ("public", "https://h.example", "64:ff9b::5db8:d822", True),
        ("public", "https://h.example:8443", PUBLIC, True),
        ("public", "http://h.example:25", PUBLIC, False),
        ("public", "http://h.example:6379", PUBLIC, False),
        (["10.0.0.0/8"], "https://h.example", "10.1.2.3", True),
        (["10.0.0.0/8"], "https://h.example", "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "https://h.example", "11.1.2.3", False),
        (["10.0.0.0/8"], "https://h.example", PUBLIC, False),
        (["10.0.0.0/8", "public"], "https://h.example", PUBLIC, True),
        (["127.0.0.1:9000"], "http://127.0.0.1:9000", "127.0.0.1", True),
        (["127.0.0.1:9000"], "http://127.0.0.1:9001", "127.0.0.1", False),
        (["127.0.0.1"], "http://127.0.0.1:9001", "127.0.0.1", True),
        (["127.0.0.1:9000"], "http://127.0.0.2:9000", "127.0.0.2", False),
        (["127.0.0.1:6379"], "http://127.0.0.1:6379", "127.0.0.1", True),
        (["[::1]:9000"], "http://[::1]:9000", "::1", True),
        (["::1"], "http://[::1]:9000", "::1", True),
        (["[fd00::/8]:443"], "https://h.example", "fd12::1", True),
        (["[fd00::/8]:443"], "https://h.example:8443", "fd12::1", False),
        (["shop.internal:8080"], "http://shop.internal:8080", "192.168.1.1", True),
        (["shop.internal:8080"], "http://shop.internal:80", "192.168.1.1", False),
        (["shop.internal"], "http://SHOP.internal:80", "192.168.1.1", True),
        (["shop.internal"], "http://evil.internal:80", "192.168.1.1", False),
        (["shop.internal"], "http://x.shop.internal:80", "192.168.1.1", False),
        (["169.254.0.0/16"], "http://h.example", "169.254.169.254", False),
        (["0.0.0.0/0", "::/0"], "http://h.example", "fd00:ec2::254", False),
        (["metadata.example"], "http://metadata.example", "169.254.169.254", False),
        (["169.254.169.254"], "http://169.254.169.254", "169.254.169.254", True),
        (["169.254.169.254:80"], "http://169.254.169.254:81", "169.254.169.254", False),
        (["fd00:ec2::254"], "http://[fd00:ec2::254]", "fd00:ec2::254", True),
    ],
)
def test_who_may_be_called(egress, url, address, allowed):
    verdict = read_egress(egress).judge(server(url), [address])
    assert bool(verdict.allowed) is allowed
    assert bool(verdict.reasons) is not allowed


def test_a_mapped_address_is_called_as_what_it_is():
    assert read_egress("public").judge(server(), [f"::ffff:{PUBLIC}"]).allowed == (PUBLIC,)


def test_one_forbidden_address_refuses_the_whole_name_under_public():
    verdict = read_egress("public").judge(server(), [PUBLIC, "10.0.0.1"])
    assert verdict.allowed == ()
    assert "10.0.0.1" in verdict.reasons[0]


def test_with_a_list_the_allowed_addresses_are_used():
    verdict = read_egress(["127.0.0.0/8"]).judge(server(), ["::1", "127.0.0.1"])
    assert verdict.allowed == ("127.0.0.1",)


@every_row(
    ("value", "problems"),
    [
        ("private", 0),  # a host may have this name
        ([], 1),
        (["10.0.0.1/8"], 1),
        (["10.0.0.0/33"], 1),
        (["127.0.0.1:0"], 1),
        (["127.0.0.1:70000"], 1),
        (["127.1"], 1),
        (["http://shop"], 1),
        (["a b", "shop:x", "*.example"], 3),
        (["shop/24"], 1),
        (["::1]:80"], 1),
    ],
)
def test_every_wrong_entry_is_told(value, problems):
    if not problems:
        assert read_egress(value).public is False
        return
    with pytest.raises(Refused) as caught:
        read_egress(value)
    assert len(caught.value.problems) == problems


def test_public_is_the_default():
    assert Egress() == read_egress("public") == read_egress(["public"])


# -- resolving and pinning


async def test_the_name_is_looked_up_once_and_the_address_called():
    setup = Setup([PUBLIC])
    for _ in range(3):
        assert await setup.get() == OK
    assert setup.names.asked == [("shop.example", 443)]
    assert setup.engine.addresses == [PUBLIC] * 3
    assert setup.engine.caps == [100] * 3


async def test_a_pinned_address_is_judged_anew_after_thirty_seconds():
    setup = Setup([PUBLIC], [OTHER])
    await setup.get()
    setup.clock.now += 29.9
    await setup.get()
    setup.clock.now += 0.1
    await setup.get()
    assert setup.engine.addresses == [PUBLIC, PUBLIC, OTHER]
    assert setup.engine.forgotten == [PUBLIC]


async def test_a_name_that_is_rebound_to_the_inside_is_not_called_there():
    setup = Setup([PUBLIC], ["127.0.0.1"], [PUBLIC])
    await setup.get()
    setup.clock.now += 30
    for _ in range(3):
        with pytest.raises(Refused):
            await setup.get()
    assert len(setup.names.asked) == 2  # a refusal is remembered as long as an address
    setup.clock.now += 30
    await setup.get()
    assert set(setup.engine.addresses) == {PUBLIC}


async def test_however_answers_flip_nothing_inside_is_called():
    source = random.Random(3)
    inside = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "64:ff9b::7f00:1",
        "::ffff:127.0.0.1",
    ]
    script = [source.sample([PUBLIC, OTHER, *inside], source.randint(1, 3)) for _ in range(400)]
    setup, texts = Setup(*script), set()
    for _ in range(400):
        setup.clock.now += 30
        try:
            await setup.get()
        except Refused as error:
            texts.add(str(error))
    assert set(setup.engine.addresses) == {PUBLIC, OTHER}
    assert texts == {"shop: this server may not be called (egress)"}


async def test_a_refusal_tells_the_reason_to_the_log_only(caplog):
    setup = Setup(["10.9.8.7"])
    with caplog.at_level(logging.WARNING), pytest.raises(Refused) as caught:
        await setup.get()
    assert "10.9.8.7" not in str(caught.value)
    assert "10.9.8.7" in caplog.text


async def test_after_a_failed_connection_the_name_is_looked_up_again():
    setup = Setup([PUBLIC], [OTHER])
    setup.engine.failing[PUBLIC] = RetryLater("refused")
    with pytest.raises(RetryLater, match="refused"):
        await setup.get()
    assert await setup.get() == OK
    assert setup.engine.addresses == [PUBLIC, OTHER]


async def test_the_next_address_is_tried_while_nothing_was_sent():
    setup = Setup([PUBLIC, OTHER])
    setup.engine.failing[PUBLIC] = RetryLater("refused")
    assert await setup.get() == OK
    assert await setup.get() == OK
    # The one that answered goes first from then on, also after the look-up that the failure caused.
    assert setup.engine.addresses == [PUBLIC, OTHER, OTHER]
    assert len(setup.names.asked) == 2


async def test_no_second_address_is_tried_once_something_may_have_been_sent():
    setup = Setup([PUBLIC, OTHER])
    setup.engine.failing[PUBLIC] = OutcomeUnknown("cut")
    with pytest.raises(OutcomeUnknown):
        await setup.get()
    assert setup.engine.addresses == [PUBLIC]


async def test_all_addresses_of_a_call_share_one_deadline():
    setup = Setup([PUBLIC, OTHER])
    setup.engine.failing = {PUBLIC: RetryLater("a"), OTHER: RetryLater("b")}
    real = setup.engine.send

    async def slow(request, **options):
        setup.clock.now += 2
        return await real(request, **options)

    setup.engine.send = slow
    with pytest.raises(RetryLater, match="b"):
        await setup.get(deadline=5.0)
    assert setup.engine.deadlines == [5.0, 3.0]


@every_row("trouble", [OSError("no such name"), UnicodeError("label too long"), []])
async def test_a_name_that_is_not_found_was_not_called(trouble):
    setup = Setup(trouble, [PUBLIC])
    with pytest.raises(RetryLater, match=r"shop\.example"):
        await setup.get()
    assert await setup.get() == OK


async def test_a_name_server_that_hangs_is_left_at_the_deadline():
    setup = Setup(None)
    with pytest.raises(RetryLater, match="in time"):
        await setup.get(deadline=0.05)


async def test_calls_at_the_same_time_look_up_once():
    setup = Setup([PUBLIC])
    await asyncio.gather(*[setup.get() for _ in range(20)])
    assert len(setup.names.asked) == 1


async def test_an_address_as_host_is_never_looked_up():
    setup = Setup([], url="http://127.0.0.1:9000", egress=["127.0.0.1:9000"])
    await setup.transport.send(Request("GET", "http://127.0.0.1:9000/x"), deadline=5)
    assert setup.names.asked == []
    assert setup.engine.addresses == ["127.0.0.1"]


# -- what is sent and read


@every_row(
    "url",
    [
        "https://evil.example/x",
        "https://shop.example.evil.example/x",
        "https://shop.example:8443/x",
        "https://shop.example@evil.example/x",
        "http://shop.example/x",
        "https://shop.exampl",
        "//shop.example/x",
        "",
    ],
)
async def test_a_request_to_another_origin_is_never_sent(url):
    setup = Setup([PUBLIC])
    assert setup.transport.problems(Request("GET", url))
    with pytest.raises(Refused):
        await setup.transport.send(Request("GET", url), deadline=5)
    assert setup.engine.sent == []


@every_row("url", ["https://shop.example", "https://shop.example/", "https://shop.example?a=1"])
def test_every_place_on_the_origin_is_in_order(url):
    assert Setup([PUBLIC]).transport.problems(Request("GET", url)) == []


def test_all_problems_of_a_request_are_told():
    request = Request("get", "http://shop.example/a/../b", (("Host", "x"), ("X", "a\r\nb")))
    assert len(Setup([PUBLIC]).transport.problems(request)) == 5


async def test_a_packed_answer_is_unpacked_within_the_cap():
    import gzip

    setup = Setup([PUBLIC])
    setup.engine.answer = Answer(
        status=200, headers=(("content-encoding", "gzip"),), body=gzip.compress(b"x" * 101)
    )
    answer = await setup.get()
    assert (answer.body, answer.truncated, answer.headers) == (b"x" * 100, True, ())


# -- check and close


async def test_check_tells_what_egress_forbids_and_how_to_allow_it():
    (finding,) = await Setup(["10.0.0.1"]).transport.check()
    assert (finding.severity, finding.code) == ("error", "egress-refused")
    assert "10.0.0.1" in finding.message
    assert "egress" in finding.fix


async def test_check_only_warns_of_a_name_that_is_not_found_now():
    (finding,) = await Setup(OSError("no such name")).transport.check()
    assert (finding.severity, finding.code) == ("warning", "server-not-found")


async def test_check_is_silent_when_all_is_well():
    setup = Setup([PUBLIC])
    assert await setup.transport.check() == []
    assert setup.engine.sent == []


async def test_closing_closes_engine_and_resolver():
    setup = Setup([PUBLIC])
    await setup.transport.close()
    await setup.transport.close()
    assert setup.engine.closed == 2
    assert setup.names.closed
