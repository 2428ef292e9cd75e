import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.config.load import read_text
from service.config.marks import Marks, join_pointer, split_pointer
from tests.tables import every_row

TEXT = """\
a: plain text
b: 'it''s quoted'
c: "x\\ty \\u00e9 \\U0001F600 \\x41 z"
d: |
  first

    second
e: >-
  one
  two

  three
    four
  five
f: plain
  folded

  twice
g: "double
  folded \\
  joined"
h: [x, {y: zz}, 'w']
i: |2-
    deep
  less
j: &anchor hello
k: *anchor
l:
  - |+
    kept

  - >
    é folded
    text
m: 'single

  folded'
"""


def marks_of(text, *, as_json=False):
    parsed = read_text(text, "f", json=as_json)
    assert parsed.root is not None, parsed.problems
    return Marks(parsed.root), parsed.root.value


def leaves(value, pointer=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, pointer + join_pointer(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{pointer}/{index}")
    else:
        yield pointer, value


def char_at(text, place):
    return text.split("\n")[place.line - 1][place.column - 1 : place.column] or "\n"


@every_row("pointer", [pointer for pointer, _ in leaves(marks_of(TEXT)[1])])
def test_every_character_of_every_style_is_found(pointer):
    marks, _ = marks_of(TEXT)
    value = marks.value(pointer)
    places = [marks.locate(pointer, offset) for offset in range(len(value))]
    for char, place in zip(value, places, strict=True):
        if char in " \n":
            assert char_at(TEXT, place) in " \n"
        elif place.line == 3:
            assert char_at(TEXT, place) in (char, "\\")
        else:
            assert char_at(TEXT, place) == char
    assert places == sorted(places)


def test_places_inside_escapes_are_exact():
    marks, value = marks_of(TEXT)
    for char, column in [("x", 5), ("\t", 6), ("é", 10), ("😀", 17), ("A", 28), ("z", 33)]:
        assert marks.locate("/c", value["c"].index(char)) == ("f", 3, column)


def test_an_offset_behind_the_end_is_the_end():
    marks, _ = marks_of(TEXT)
    assert marks.locate("/a", 99) == ("f", 1, 14)
    assert marks.locate("/b", 99) == ("f", 2, 17)


def test_values_keys_and_items_are_found():
    marks, _ = marks_of(TEXT)
    assert marks.locate("/h") == ("f", 22, 4)
    assert marks.locate("/h/1") == ("f", 22, 8)
    assert marks.locate("/h/1/y") == ("f", 22, 12)
    assert marks.key("/h/1/y") == ("f", 22, 9)
    assert marks.key("/h") == ("f", 22, 1)
    assert marks.key("/h/2") == ("f", 22, 17)
    assert marks.locate("/h/2", 0) == ("f", 22, 18)
    assert marks.locate("/k", 1) == ("f", 26, 13)


def test_what_is_not_there_is_at_the_key_of_its_nearest_parent():
    marks, _ = marks_of("a:\n  b:\n    c: 1\n")
    assert marks.locate("/a/b/x/y") == ("f", 2, 3)
    assert marks.key("/a/z") == ("f", 1, 1)
    assert marks.locate("/q") == ("f", 1, 1)
    assert marks.locate("/a/b/c/9", 3) == ("f", 3, 5)
    assert marks.locate("") == ("f", 1, 1)
    assert not marks.has("/a/x")
    assert marks.has("/a/b")
    assert marks.value("/a/x") is None


def test_anchors_and_tags_before_a_value_are_not_part_of_it():
    marks, _ = marks_of("a: &x  'hey'\nb: !t &y hey\n")
    assert marks.locate("/a", 1) == ("f", 1, 10)
    assert marks.locate("/b", 1) == ("f", 2, 11)


def test_pointers_round_trip():
    tokens = ["a/b", "m~n", "", "~1", "x"]
    assert split_pointer(join_pointer(*tokens)) == tokens


KEYS = st.text(min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def check_places(text, document, *, as_json=False):
    """Every located place must hold the value: its line read on from there begins with it."""
    marks, value = marks_of(text, as_json=as_json)
    assert document is None or value == document
    lines = text.split("\n")
    for pointer, leaf in leaves(value):
        for place in (marks.locate(pointer), marks.key(pointer)):
            assert 1 <= place.line <= len(lines)
            assert 1 <= place.column <= len(lines[place.line - 1]) + 1
        if isinstance(leaf, str):
            for offset, char in enumerate(leaf):
                if char.isascii() and char.isalnum():
                    found = char_at(text, marks.locate(pointer, offset))
                    assert found in (char, "\\"), (pointer, offset)
        elif isinstance(leaf, int) and not isinstance(leaf, bool):
            place = marks.locate(pointer)
            assert lines[place.line - 1][place.column - 1 :].startswith(str(leaf))


@given(DOCUMENTS, st.sampled_from([None, 1]))
def test_places_in_json_hold_what_they_say(document, indent):
    check_places(json.dumps(document, indent=indent), document, as_json=True)


WORDS = st.text(alphabet="abc .,'\"\\#:é😀\n-{}[]$", max_size=40)
TEXTS = st.dictionaries(st.text(alphabet="abcd", min_size=1, max_size=4), WORDS | st.lists(WORDS), min_size=1)


@given(TEXTS, st.sampled_from(["'", '"', "|", ">", None]), st.integers(10, 80))
def test_places_in_yaml_hold_what_they_say(document, style, width):
    text = yaml.safe_dump(document, default_style=style, width=width, allow_unicode=True)
    parsed = read_text(text, "f")
    if parsed.problems:  # a dumped scalar that looks cut, or begins with a tag: reported, not placed
        return
    check_places(text, None)  # the dumper folds some texts wrongly
