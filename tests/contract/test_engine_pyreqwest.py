import inspect

import pytest
from pyreqwest import exceptions

from actions.engines.pyreqwest import judge
from actions.errors import OutcomeUnknown, Refused, RetryLater
from tests.contract.engine_contract import EngineContract

# What each class of the driver means when its causes prove nothing. A class that is not here fails the test.
MEANING = {
    "PyreqwestError": OutcomeUnknown,
    "DetailedPyreqwestError": OutcomeUnknown,
    "RequestError": OutcomeUnknown,
    "StatusError": OutcomeUnknown,
    "RedirectError": OutcomeUnknown,
    "DecodeError": OutcomeUnknown,
    "BodyDecodeError": OutcomeUnknown,
    "JSONDecodeError": OutcomeUnknown,
    "TransportError": OutcomeUnknown,
    "RequestTimeoutError": OutcomeUnknown,
    "NetworkError": OutcomeUnknown,
    "ConnectTimeoutError": OutcomeUnknown,  # also raised for a total time-out after sending
    "ReadTimeoutError": OutcomeUnknown,
    "WriteTimeoutError": OutcomeUnknown,
    "PoolTimeoutError": RetryLater,
    "ConnectError": OutcomeUnknown,  # also raised for a cut after sending
    "ReadError": OutcomeUnknown,
    "WriteError": OutcomeUnknown,
    "ClientClosedError": OutcomeUnknown,
    "BuilderError": Refused,
    "RequestPanicError": OutcomeUnknown,
}


class TestPyreqwestEngine(EngineContract):
    kind = "pyreqwest"


def classes():
    return [
        one
        for _, one in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(one, BaseException) and one.__module__.startswith("pyreqwest")
    ]


def test_every_class_of_the_driver_has_a_meaning():
    assert {one.__name__ for one in classes()} == MEANING.keys()
    assert all(issubclass(one, exceptions.PyreqwestError) for one in classes())  # hence caught


@pytest.mark.parametrize("one", classes(), ids=lambda one: one.__name__)
def test_every_class_of_the_driver_is_mapped(one):
    if one is exceptions.PyreqwestError:
        error = one("told")
    else:
        error = one("told", {"causes": [{"message": "why"}], "doc": "", "pos": 0, "status": 500})
    assert type(judge(error, "shop")) is MEANING[one.__name__]


def test_only_the_connect_cause_proves_that_nothing_was_sent():
    def error(*causes):
        return exceptions.ConnectError("connection error", {"causes": [{"message": text} for text in causes]})

    url = "error sending request for url (http://h/?key=hunter2)"
    sent = judge(error(url, "client error (SendRequest)", "connection closed"), "shop")
    unsent = judge(error(url, "client error (Connect)", "tcp connect error", "Connection refused"), "shop")
    assert type(sent) is OutcomeUnknown
    assert type(unsent) is RetryLater
    assert str(unsent) == "shop: no connection: Connection refused"
    assert "hunter2" not in str(judge(error(url), "shop"))
