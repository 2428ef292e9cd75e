"""A place is the same whether one is asked for or all: what lies beside the way is only skipped."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actions.specs.events import escape
from actions.specs.load import load
from tests.examples import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a~/{"]}\n', max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=20,
)


def pointers(value: Any, at: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(found for key, child in inner for found in pointers(child, f"{at}/{escape(str(key))}"))]


@examples(150)
@given(value=st.lists(JSON, min_size=1, max_size=3), comment=st.booleans(), indent=st.sampled_from([None, 1]))
def test_one_pointer_stands_where_it_stands_among_all(
    value: list[Any], comment: bool, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    document = load("a.json", (f"{text[:-1]}/* no strict JSON */, ]" if comment else text).encode())
    everything = document.places(pointers(document.value))
    for pointer, place in everything.items():
        assert document.places([pointer]) == {pointer: place}
