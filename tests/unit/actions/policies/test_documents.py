"""Bodies that are changed in place: bounds, odd tokens, and places that are not there."""

from typing import Any

import pytest

from actions.expressions import parse_path
from actions.policies import documents
from actions.policies.documents import Document, Slot, Unfit, text_of
from tests.tables import every_row
from tests.unit.actions.policies.trying import answered, changed, policies


def test_only_what_is_walked_is_opened() -> None:
    document = Document(b' {"a" : {"b": [1.10, {"c": 2e5}]}, "x": [ 1 , 2 ]} ')
    place = document.root.below(("a", "b", 1, "d"))
    assert place is not None
    place.put("new")
    assert document.encode() == b'{"a":{"b":[1.10,{"c":2e5,"d":"new"}]},"x":[ 1 , 2 ]}'


def test_a_list_grows_by_one_at_its_end() -> None:
    document = Document(b"[1]")
    end, beyond = document.root.below((1,)), document.root.below((2,))
    assert end is not None
    assert end.value() is None
    assert beyond is None
    end.put("x")
    assert document.encode() == b'[1,"x"]'
    end.drop()
    assert document.encode() == b"[1]"


def test_what_does_not_exist_is_nothing() -> None:
    document = Document(b'{"a": null, "t": "x"}')
    assert document.root.below(("a", "b")) is None
    assert document.root.below(("t", "b")) is None
    assert document.at(parse_path("@item().x")) is None
    assert text_of(None) is None
    assert list(document.root.spread(("t", "b"))) == []
    made = document.root.below(("a", "b"), make=True)
    assert made is not None
    made.put("c")
    assert document.encode() == b'{"a":{"b":"c"},"t":"x"}'


def test_bodies_and_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BODY", 10)
    with pytest.raises(Unfit, match="longer than 10 bytes"):
        Document(b'"0123456789"')
    document = Document(b'"x"')
    document.root.put("0123456789")
    with pytest.raises(Unfit, match="would be longer than 10 bytes"):
        document.encode()
    monkeypatch.setattr(documents, "MAX_ITEMS", 2)
    with pytest.raises(Unfit, match="more than 2 items"):
        list(Document(b"[1,2,3]").root.items())


@every_row("body", [b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 200_000 + b"1" + b"}" * 200_000])
def test_depth_is_bounded(body: bytes) -> None:
    with pytest.raises(Unfit, match=r"no JSON|too deep"):
        Document(body)


def test_what_holds_itself_is_not_written() -> None:
    holder: dict[str, Any] = {}
    holder["self"] = holder
    document = Document(b"{}")
    Slot(document._holder, 0).put(holder)
    with pytest.raises(Unfit, match="nested too deep"):
        document.encode()


def test_text_that_is_no_utf8_is_left_or_said() -> None:
    made = policies(
        (
            "setproperty",
            {
                "newPropertyParentPathTemplate": "@body()",
                "newPropertySubPathTemplate": "b",
                "propertyValuePathTemplate": "x{@body().a}",
            },
        ),
        section="response",
    )
    answer = answered(made, b'{"a":"\xff"}')
    assert answer.body == b'{"a":"\xff"}'
    assert "no UTF-8" in (answer.header("pointsman-policies") or "")


def move(source: tuple[str, str], target: tuple[str, str], inner: str = "true") -> Any:
    given = dict(
        zip(("srcParentPath", "srcSubPath", "dstParentPath", "dstSubPath"), (*source, *target), strict=True)
    )
    return policies(("moveproperties", {**given, "copyOnlySubProperties": inner}))


def test_properties_are_moved_between_parents() -> None:
    body = {"a": {"x": {"y": 1}}, "b": {"z": 2}}
    assert changed(move(("@body().a", "x"), ("@body().b", "null")), body) == {"a": {}, "b": {"z": 2, "y": 1}}
    assert changed(move(("@body().a", "x"), ("@body().new", "deep")), body) == {
        "a": {},
        "b": {"z": 2},
        "new": {"deep": {"y": 1}},
    }
    assert changed(move(("@body().a", ""), ("@body()", "a.inner")), body)["a"] == {
        "x": {"y": 1},
        "inner": {"x": {"y": 1}},
    }
    assert changed(move(("@body()", "a"), ("@body()", "b.z"), "true"), {"a": {"q": 1}, "b": {"z": None}}) == {
        "b": {"z": {"q": 1}}
    }


@every_row("inner", ["true", "false"])
def test_properties_are_not_moved_into_a_text(inner: str) -> None:
    made = move(("@body()", "a"), ("@body().t", "x"), inner)
    body = {"a": {"q": 1}, "t": "text"}
    with pytest.raises(Exception, match=r"moved into what is no object|no such place"):
        changed(made, body)
