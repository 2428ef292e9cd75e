"""Names of operations: stable, unique, and usable in a rule."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from actions.specs.reading import MAX_ID, aliases_of, assign_ids, slug
from tests.examples import examples


def test_a_usable_operation_id_is_the_id() -> None:
    names = ["reserveStock", "pets.list", "Pets_List", "a-b"]
    assert assign_ids([(name, "GET", f"/{name}") for name in names]) == names


def test_others_are_named_by_method_and_path() -> None:
    wanted = [
        ("", "GET", "/orders/{id}/items"),
        ("get-/crm/v3", "GET", "/crm/v3"),
        (" ", "POST", "/"),
        ("1st", "PUT", "/a/{b}.json"),
        ("../../x", "DELETE", "/ü"),
    ]
    ids = ["get_orders_by_id_items", "get_crm_v3", "post_root", "put_a_by_b_json", "delete_root"]
    assert assign_ids(wanted) == ids


def test_those_that_share_an_operation_id_are_all_named_by_method_and_path() -> None:
    assert assign_ids([("x", "GET", "/a"), ("x", "GET", "/b"), ("y", "GET", "/c")]) == ["get_a", "get_b", "y"]


def test_an_operation_id_that_equals_the_name_of_another_does_not_win_by_order() -> None:
    first, second = ("get_a", "GET", "/b"), ("", "GET", "/a")
    assert assign_ids([first, second]) == ["get_b", "get_a"]
    assert assign_ids([second, first]) == ["get_a", "get_b"]


def test_names_that_collide_get_a_hash_that_does_not_depend_on_the_order() -> None:
    wanted = [("", "GET", "/a-b"), ("", "GET", "/a_b"), ("", "GET", "/c")]
    ids = assign_ids(wanted)
    assert ids == assign_ids(wanted[::-1])[::-1]
    assert all(re.fullmatch(r"get_a_b_[0-9a-f]{8}", one) for one in ids[:2])


def test_the_same_method_and_path_twice_are_counted() -> None:
    first, second = assign_ids([("", "GET", "/a"), ("", "GET", "/a")])
    assert (first[-2:], second[-2:]) == ("_2", "_3")


@examples(100)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=5) | st.sampled_from(["a", "b", "get_a"]),
            st.sampled_from(["GET", "PUT"]),
            st.text("/{}a-_", max_size=100),
        ),
        max_size=12,
        unique_by=lambda one: (one[1], one[2]),
    ),
    st.randoms(use_true_random=False),
)
def test_ids_are_unique_short_usable_and_free_of_order(
    wanted: list[tuple[str, str, str]], rng: random.Random
) -> None:
    ids = assign_ids(wanted)
    assert len(set(ids)) == len(wanted)
    assert all(len(one) <= MAX_ID and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", one) for one in ids)
    order = list(range(len(wanted)))
    rng.shuffle(order)
    assert assign_ids([wanted[index] for index in order]) == [ids[index] for index in order]


def test_a_long_path_is_cut_and_told_apart() -> None:
    one, two = slug("GET", "/a" * 60), slug("GET", "/a" * 61)
    assert len(one) == len(two) == MAX_ID
    assert one != two


def test_an_alias_that_two_share_is_none() -> None:
    owners = [("a", ("x", "GET /a")), ("b", ("x", "GET /b", "a"))]
    assert aliases_of(owners) == {"GET /a": "a", "GET /b": "b"}
