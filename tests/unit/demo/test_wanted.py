"""What `--with` and the addresses ask for, and that all that is wrong with them is said at once."""

import pytest

from service.demo.wanted import wanted
from service.errors import Invalid
from tests.tables import every_row

NONE = {"kafka": None, "rabbitmq": None, "postgres": None}


def problems(kinds, **addresses):
    with pytest.raises(Invalid) as caught:
        wanted(kinds, {**NONE, **addresses})
    assert {one.code for one in caught.value.problems} == {"usage"}
    return [str(one) for one in caught.value.problems]


@every_row("kinds", ["postgres,kafka", "kafka, postgres", "KAFKA,postgres,kafka"])
def test_any_subset_can_be_named_in_any_order(kinds):
    assert wanted(kinds, NONE) == {"kafka": None, "postgres": None}
    assert list(wanted(kinds, NONE)) == ["kafka", "postgres"]


def test_an_address_says_that_its_kind_is_wanted():
    assert wanted(None, {**NONE, "kafka": "broker:9092"}) == {"kafka": "broker:9092"}
    assert wanted("rabbitmq", {**NONE, "kafka": "a:1,[::1]:2"}) == {"kafka": "a:1,[::1]:2", "rabbitmq": None}


@every_row(
    ("word", "meant"),
    [("rabbit", "rabbitmq"), ("postgresql", "postgres"), ("kafak", "kafka"), ("pg", "postgres")],
)
def test_a_name_that_is_near_is_meant(word, meant):
    (problem,) = problems(f"kafka,{word}")
    assert f"(found {word}); did you mean {meant}?" in problem


def test_a_name_that_is_not_near_gets_the_list():
    assert problems("redis,")[0].endswith("(found redis); there are: kafka, rabbitmq, postgres")
    assert problems("")[0].startswith("--with: a name is missing")


def test_everything_that_is_wrong_is_said_at_once():
    said = problems(
        "redis,rabit", kafka="kafka://b:9092", rabbitmq="http://b", postgres="postgres:secret@b/db"
    )
    assert len(said) == 5
    assert "secret" not in "".join(said), "what was given may hold a password"


@every_row("address", ["", "broker", "broker:0", "broker:70000", "b:1,", "u:p@b:1", "b:9092/x"])
def test_what_is_no_address_of_kafka_is_refused(address):
    (problem,) = problems(None, kafka=address)
    assert problem == "--kafka is no address: write host:port, without a scheme; for example 127.0.0.1:9092"


@every_row("address", ["", "amqp://", "broker:5672", "amqp://b:port/", "amqp://b/?heartbeat=1"])
def test_what_is_no_address_of_rabbitmq_is_refused(address):
    (problem,) = problems(None, rabbitmq=address)
    assert problem.startswith("--rabbitmq is no address: ")


@every_row("address", ["", "postgres:///db", "mysql://b/db", "postgres://b:port/db"])
def test_what_is_no_address_of_postgresql_is_refused(address):
    (problem,) = problems(None, postgres=address)
    assert problem.startswith("--postgres is no address: ")
