"""What is wrong in a configuration is found before anything is connected."""

import asyncio

import pytest

from tests.fakes.sources import Emitted, source_context
from tests.tables import every_row
from tests.unit.triggers.postgres.test_rows import config
from triggers.errors import NotStored, SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres import PostgresSource
from triggers.postgres.source import gravest


def codes(**settings):
    return [finding.code for finding in PostgresSource("shop", config(**settings)).review()]


@every_row("url", ["mysql://localhost/x", "localhost", "postgresql://[::1/x", "postgresql://h/x?sslmode"])
async def test_a_url_that_is_none_is_found_and_refused(url):
    assert codes(url=url) == ["bad-url"]
    with pytest.raises(SourceRejected, match="url"):
        await PostgresSource("shop", config(url=url)).open(source_context(Emitted()))


def test_a_server_that_is_not_proven_is_doubtful():
    assert codes(url="postgresql://db.example.com/x") == ["server-not-proven"]
    assert codes(url="postgresql://db.example.com/x?sslmode=require") == ["server-not-proven"]
    assert codes(url="postgresql://db.example.com/x?sslmode=verify-full") == []
    assert codes(url="postgresql://db.example.com/x", ca="pem") == []
    assert codes(url="postgresql://127.0.0.1/x") == []
    assert codes(url="postgresql:///x?host=db.example.com") == ["server-not-proven"]


def test_a_filter_of_a_table_that_is_not_taken_is_doubtful():
    assert codes(tables=["public.orders"], columns={"public.order": ["id"]}) == ["filter-without-table"]
    assert codes(tables=["public.*"], exclude_columns={"public.orders": ["id"]}) == []


async def test_texts_that_are_no_pem_are_refused():
    with pytest.raises(SourceRejected, match="PEM"):
        await PostgresSource("shop", config(ca="not pem")).open(source_context(Emitted()))


async def test_a_source_that_is_not_open_does_not_run():
    with pytest.raises(SourceRejected, match="not open"):
        await PostgresSource("shop", config()).run(Emitted().begin())


def test_of_several_errors_the_gravest_is_told():
    gap, lost = SourceGap("gap", fix="x"), SourceUnavailable("gone")
    bug = ZeroDivisionError()
    assert gravest(BaseExceptionGroup("", [lost, BaseExceptionGroup("", [gap])])) is gap
    assert gravest(BaseExceptionGroup("", [lost, bug, gap])) is bug
    refused, stored = SourceRejected("no"), NotStored("full")
    assert gravest(BaseExceptionGroup("", [lost, stored, refused])) is refused
    crash = asyncio.CancelledError()
    assert gravest(BaseExceptionGroup("", [lost, crash])) is crash
