"""convertobjecttoarray, convertarraytoobject, stringtoarray: the vendor's own examples first."""

from typing import Any

from tests.unit.actions.policies.trying import answered, changed, policies, request, wire

PEOPLE = {"XYZ": {"Age": "30"}, "ABC": {"Age": "23"}}
LISTED = [{"Name": "XYZ", "Details": {"Age": "30"}}, {"Name": "ABC", "Details": {"Age": "23"}}]


def to_array(parent: str, sub: str, new: str, key: str = "Name", value: str = "Details") -> Any:
    given = {
        "propertyParentPath": parent,
        "propertySubPath": sub,
        "newPropertyPath": new,
        "keyName": key,
        "valueName": value,
    }
    return policies(("convertobjecttoarray", given))


def test_an_object_becomes_a_list() -> None:
    made = to_array("@body()", "peopleObject", "@body().peopleArray")
    assert changed(made, {"peopleObject": PEOPLE}) == {"peopleObject": PEOPLE, "peopleArray": LISTED}


def test_an_object_in_each_item_becomes_a_list() -> None:
    made = to_array("@body().sets", "people", "@item().people")
    assert changed(made, {"sets": [{"people": PEOPLE}, {"x": 1}]}) == {"sets": [{"people": LISTED}, {"x": 1}]}
    absolute = to_array("@body().sets", "people", "@body().sets.list")
    assert changed(absolute, {"sets": [{"people": PEOPLE}]}) == {"sets": [{"people": PEOPLE, "list": LISTED}]}


def test_an_object_itself_becomes_a_list() -> None:
    assert changed(to_array("@body().refs", "null", "@body().refs"), {"refs": PEOPLE}) == {"refs": LISTED}
    assert changed(to_array("@body()", "", ""), PEOPLE) == LISTED
    assert changed(to_array("@body().refs", "null", "@body().list.of"), {"refs": {}}) == {
        "refs": {},
        "list": {"of": []},
    }
    flat = [{"Name": "XYZ", "Age": "30"}, {"Name": "ABC", "Age": "23"}]
    assert changed(to_array("@body()", "", "", value=""), PEOPLE) == flat


def test_what_is_no_object_is_left() -> None:
    assert changed(to_array("@body()", "a", "b"), {"a": [1]}) == {"a": [1]}


def to_object(parent: str, sub: str, key: str, new: str, retain: str = "") -> Any:
    given = {
        "propertyParentPath": parent,
        "propertySubPath": sub,
        "keyWithinCollectionPath": key,
        "newPropertyPath": new,
        "retainKey": retain,
    }
    return policies(("convertarraytoobject", given))


ROWS = [{"Name": "XYZ", "Age": "30"}, {"Name": "ABC", "Age": "23"}]


def test_a_list_becomes_an_object_without_its_keys() -> None:
    made = to_object("@body()", "peopleArray", "Name", "peopleObject", "false")
    assert changed(made, {"peopleArray": ROWS}) == {"peopleArray": ROWS, "peopleObject": PEOPLE}


def test_a_list_becomes_an_object_with_its_keys() -> None:
    made = to_object("@body().sets", "people", "@item().Name", "people", "true")
    named = {"XYZ": ROWS[0], "ABC": ROWS[1]}
    assert changed(made, {"sets": [{"people": ROWS}]}) == {"sets": [{"people": named}]}
    assert changed(to_object("@body().l", "", "Name", "@body().l"), {"l": ROWS}) == {"l": named}
    assert changed(to_object("@body()", "null", "Name", ""), ROWS) == named


def test_items_without_a_key_are_left_out_and_numbers_name_too() -> None:
    made = to_object("@body()", "l", "id", "o", "false")
    assert changed(made, {"l": [{"id": 5, "a": 1.5}, {"a": 2}, 7, {"id": None}]})["o"] == {"5": {"a": 1.5}}


def test_a_value_of_each_item_can_be_taken() -> None:
    given = {
        "propertyParentPath": "@body()",
        "propertySubPath": "l",
        "keyWithinCollectionPath": "k",
        "valueWithinCollectionPath": "v",
        "newPropertyPath": "l",
    }
    assert changed(policies(("convertarraytoobject", given)), {"l": [{"k": "a", "v": [1]}, {"k": "b"}]}) == {
        "l": {"a": [1], "b": None}
    }


def test_numbers_keep_their_tokens_on_the_wire() -> None:
    made = to_object("@body()", "l", "k", "", "false")
    sent = wire(made.request(request(body=b'{"l":[{"k":"a","v":1.10}],"n":1e2}')))
    assert sent.endswith(b'\r\n\r\n{"l":{"a":{"v":1.10}},"n":1e2}')


def splitting(delimiters: str = ";", new: str = "@body.peopleObject.XYZ.Age") -> Any:
    given = {
        "propertyParentPath": "@body()",
        "propertySubPath": "peopleObject.XYZ.Age",
        "delimiterList": delimiters,
        "childPropertyName": "AgeW",
        "newPropertyPath": new,
    }
    return policies(("stringtoarray", given), section="response")


def test_a_text_becomes_a_list_of_objects() -> None:
    answer = answered(splitting(), {"peopleObject": {"XYZ": {"Age": "3;0"}, "ABC": {"Age": "23;45"}}})
    assert answer.body == (
        b'{"peopleObject":{"XYZ":{"Age":[{"AgeW":"3"},{"AgeW":"0"}]},"ABC":{"Age": "23;45"}}}'
    )


def test_each_character_of_the_list_delimits_and_empty_parts_are_left_out() -> None:
    answer = answered(splitting(";,]", new="out"), {"peopleObject": {"XYZ": {"Age": "a;b,,c]"}}})
    assert b'"out":[{"AgeW":"a"},{"AgeW":"b"},{"AgeW":"c"}]' in answer.body


def test_a_list_without_bound_is_not_made() -> None:
    answer = answered(splitting(), {"peopleObject": {"XYZ": {"Age": "a;" * 200_000}}})
    assert "more than" in (answer.header("pointsman-policies") or "")
