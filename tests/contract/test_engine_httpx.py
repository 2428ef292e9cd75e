import inspect

import httpx
import pytest

from actions.engines.httpx import judge
from actions.errors import OutcomeUnknown, Refused, RetryLater
from tests.contract.engine_contract import EngineContract

STARTED, COMPLETE = "http11.send_request_headers.started", "http11.send_request_headers.complete"

# What each class means before anything was written; afterwards all of them are unknown. A class that is not
# here fails the test.
BEFORE = {
    "CloseError": RetryLater,
    "ConnectError": RetryLater,
    "ConnectTimeout": RetryLater,
    "DecodingError": RetryLater,
    "HTTPError": RetryLater,
    "HTTPStatusError": RetryLater,
    "InvalidURL": Refused,
    "LocalProtocolError": Refused,
    "NetworkError": RetryLater,
    "PoolTimeout": RetryLater,
    "ProtocolError": RetryLater,
    "ProxyError": RetryLater,
    "ReadError": RetryLater,
    "ReadTimeout": RetryLater,
    "RemoteProtocolError": RetryLater,
    "RequestError": RetryLater,
    "RequestNotRead": RetryLater,
    "ResponseNotRead": RetryLater,
    "StreamClosed": RetryLater,
    "StreamConsumed": RetryLater,
    "StreamError": RetryLater,
    "TimeoutException": RetryLater,
    "TooManyRedirects": RetryLater,
    "TransportError": RetryLater,
    "UnsupportedProtocol": Refused,
    "WriteError": RetryLater,
    "WriteTimeout": RetryLater,
}
IMPOSSIBLE = {"CookieConflict"}  # raised by the cookie jar of a client, and there is no client


class TestHTTPXEngine(EngineContract):
    kind = "httpx"


def classes():
    return [
        one
        for name, one in inspect.getmembers(httpx, inspect.isclass)
        if issubclass(one, BaseException) and name not in IMPOSSIBLE
    ]


def make(one):
    error = one.__new__(one)
    Exception.__init__(error, "told")
    return error


def test_every_class_of_the_driver_has_a_meaning():
    assert {one.__name__ for one in classes()} == BEFORE.keys()
    assert all(issubclass(one, (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)) for one in classes())


@pytest.mark.parametrize("one", classes(), ids=lambda one: one.__name__)
def test_what_was_written_decides_not_the_class(one):
    assert type(judge(make(one), "shop", [])) is BEFORE[one.__name__]
    assert type(judge(make(one), "shop", [STARTED, COMPLETE])) is OutcomeUnknown


def test_a_request_that_the_driver_will_not_write_is_refused():
    assert type(judge(httpx.LocalProtocolError("illegal header"), "shop", [STARTED])) is Refused
    assert type(judge(httpx.WriteError("broken"), "shop", [STARTED])) is OutcomeUnknown
