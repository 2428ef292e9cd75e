"""Unit tests touch no network: sockets are off (the event loop's own socket pair apart)."""

import pytest
from pytest_socket import disable_socket, enable_socket

from tests.examples import ask_for_the_usual

ask_for_the_usual()


@pytest.fixture(autouse=True)
def _no_network():
    # For each test anew: the plugin takes its restrictions back after every test.
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
