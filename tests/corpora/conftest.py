"""Modules that use `read_offline` and `offline` touch no network."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(scope="module")
def read_offline() -> Iterator[None]:
    """Keep sockets off while a module's fixtures read its corpus."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def offline() -> Iterator[None]:
    """Keep sockets off in a test: the plugin takes its restrictions back after every test."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
