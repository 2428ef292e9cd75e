"""The project that a demo with servers writes is one that the service takes, whatever the addresses hold."""

import os

import pytest

from service.demo.guests.registry import GUESTS
from service.demo.project import source_of, write_project
from service.demo.starter import CONFIG, write_starter
from service.usecases.checking import check_configuration
from tests.tables import every_row

ADDRESSES = {
    "kafka": "broker-1.example:9092,[::1]:9093",
    "rabbitmq": "amqp://a%40b:p%22%23%7B%7D%20w@[::1]:5673/a%2Fb",
    "postgres": "postgres://u:p%22%23%7B%7D%20@[::1]:5433/db?sslmode=prefer",
}  # fmt: skip
EVERY = list(GUESTS)


def guests(*kinds, addresses=ADDRESSES):
    return [GUESTS[kind](addresses[kind], "pointsman_demo_0123abcd") for kind in kinds]


@pytest.mark.parametrize("kinds", [["kafka"], ["rabbitmq"], ["postgres"], EVERY])
@pytest.mark.parametrize("usual", [True, False])
async def test_what_is_written_would_run(tmp_path, kinds, usual):
    write_starter(tmp_path)
    before = (tmp_path / CONFIG).read_bytes()
    addresses = {kind: GUESTS[kind].usual for kind in GUESTS} if usual else ADDRESSES
    made = guests(*kinds, addresses=addresses)
    for _ in range(2):  # a folder can be used again
        path = write_project(tmp_path, CONFIG, made)
    candidate = await check_configuration(path, resolve=True, env=os.environ)
    assert [str(one) for one in candidate.errors] == []
    assert {source_of(one) for one in made} < set(candidate.checked.sketch.sources)
    assert (tmp_path / CONFIG).read_bytes() == before, "one's own file is left alone"


def test_secrets_stand_in_files_of_our_own_alone(tmp_path):
    write_starter(tmp_path)
    write_project(tmp_path, CONFIG, guests(*EVERY))
    for file in (tmp_path / "with").iterdir():
        assert "p%22" not in file.read_text("utf-8")
        assert 'p"#{} w' not in file.read_text("utf-8")
    assert (tmp_path / "secrets/rabbitmq").read_text("utf-8") == 'p"#{} w'
    for name in ("rabbitmq", "postgres"):
        assert (tmp_path / "secrets" / name).stat().st_mode & 0o777 == 0o600


@every_row("kind", EVERY)
def test_a_place_that_people_see_shows_no_password(kind):
    (guest,) = guests(kind)
    assert "p%22" not in guest.place
    assert "::1" in guest.place
