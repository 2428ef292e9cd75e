"""What a connection gives for the variables of a collection, and where it goes."""

import pytest

from actions.errors import Refused
from actions.http import HTTPConnector
from actions.places import Place
from actions.specs.filling import bound, fill
from tests.unit.actions.specs.postman.collections import item, one, read, variables

SPEC = read(
    item("https://a.x/{{org}}/b?c={{d}}-{{e}}&f={{f_token}}", header=[{"key": "X-Org", "value": "{{org}}"}]),
    variable=variables(e="5"),
)


def defaults(**values: str) -> dict[str, object]:
    operation = bound(one(SPEC), SPEC, values)
    return {known.name: known.schema.get("default") for known in operation.parameters}


def test_what_is_known_in_full_becomes_the_default() -> None:
    assert defaults(org="o1", d="4") == {"org": "o1", "X-Org": "o1", "c": "4-5", "f": None}
    assert defaults(d="4", e="6") == {"org": None, "X-Org": None, "c": "4-6", "f": None}
    assert defaults(e="6") == {"org": None, "X-Org": None, "c": None, "f": None}


def test_secrets_and_unknown_names_are_left_out() -> None:
    assert "geheim" not in str(defaults(f_token="geheim", other="geheim"))
    assert bound(one(SPEC), SPEC, {"f_token": "geheim"}) is one(SPEC)
    assert bound(one(SPEC), SPEC, {}) is one(SPEC)


def test_arguments_are_filled_wherever_a_variable_stands() -> None:
    given = {"a": "{{x}}/{{y}}", "b": [{"c": "{{ x }}"}, 5, None]}
    assert fill(given, {"x": "1"}) == {"a": "1/{{y}}", "b": [{"c": "1"}, 5, None]}


def test_a_call_takes_them_from_its_connection_and_arguments_win() -> None:
    place = Place(url="https://a.x", own=True, parameters={"org": "o1", "d": "4"})
    connector = HTTPConnector("c", SPEC, server=place)
    name = one(SPEC).id
    shown = connector.show(connector.prepare(name, {"f": "g"}, key="k"))
    assert shown["url"] == "https://a.x/o1/b?c=4-5&f=g"
    assert dict(shown["headers"])["X-Org"] == "o1"
    shown = connector.show(connector.prepare(name, {"f": "g", "org": "o2"}, key="k"))
    assert shown["url"] == "https://a.x/o2/b?c=4-5&f=g"
    with pytest.raises(Refused, match="org is required"):
        HTTPConnector("c", SPEC, server=Place(url="https://a.x", own=True)).prepare(name, {"f": "g"}, key="k")
