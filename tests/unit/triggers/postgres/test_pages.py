"""How tables are read page by page."""

import msgspec

from tests.tables import every_row
from triggers.postgres.catalog import Column, PublishedTable, Table
from triggers.postgres.pages import Reading, decode, encode, query, relation, scan_of

ORDERS = Table(
    oid=16400,
    schema="public",
    name="orders",
    kind="r",
    identity="default",
    key=("id", "part"),
    identity_key=("id", "part"),
    primary=True,
    columns=(
        Column("id", 23, -1, "integer"),
        Column("part", 1043, 14, "character varying(10)"),
        Column("v", 25, -1, "text"),
    ),
    file=16400,
    rows=10,
    blocks=1,
    persistent=True,
    readable=True,
    owned=True,
)
PUBLISHED = PublishedTable(oid=16400, schema="public", name="orders", columns=("id", "part", "v"))
BY_KEY = scan_of(PUBLISHED, ORDERS, ORDERS)
BY_PLACE = scan_of(PUBLISHED, ORDERS, msgspec.structs.replace(ORDERS, key=()))


def test_the_first_page_begins_at_the_beginning():
    reading = Reading(number=1).at(BY_KEY)
    assert query(BY_KEY, reading, 50) == (
        'SELECT "id", "part", "id", "part", "v" FROM ONLY "public"."orders" ORDER BY "id", "part" LIMIT 50'
    )


def test_the_next_page_begins_after_the_last_key():
    reading = Reading(number=1).at(BY_KEY).past([b"7", b"it's \\ one"], 50)
    assert "WHERE (\"id\", \"part\") > ('7'::integer,  E'it''s \\\\ one'::character varying(10))" in query(
        BY_KEY, reading, 50
    )
    assert reading.rows == 50


def test_a_table_without_a_key_is_read_by_places():
    reading = Reading(number=1).at(BY_PLACE).past([b"(3,7)"], 9)
    assert query(BY_PLACE, reading, 5) == (
        'SELECT ctid, "id", "part", "v" FROM ONLY "public"."orders" WHERE (ctid) > (\'(3,7)\'::tid) LIMIT 5'
    )


def test_the_publications_filter_and_columns_hold():
    published = msgspec.structs.replace(PUBLISHED, columns=("id", "part"), filter="(v IS NULL)")
    scan = scan_of(published, ORDERS, ORDERS)
    statement = query(scan, Reading(number=1).at(scan).past([b"1", b"a"], 1), 5)
    assert statement.startswith('SELECT "id", "part", "id", "part" FROM')
    assert " AND ((v IS NULL))" in statement
    assert [column.name for column in relation(scan).columns] == ["id", "part"]


def test_the_relation_is_described_as_the_stream_does():
    described = relation(BY_KEY)
    assert (described.oid, described.schema, described.name, described.identity) == (
        16400,
        "public",
        "orders",
        "default",
    )
    assert [(column.name, column.key, column.modifier) for column in described.columns] == [
        ("id", True, -1),
        ("part", True, 14),
        ("v", False, -1),
    ]


def test_a_reading_survives_being_stored():
    reading = Reading(number=2, done=("public.a",)).at(BY_KEY).past([b"7", "ü\n".encode()], 3)
    assert decode(encode(reading)) == reading


def test_a_scan_goes_on_where_it_was():
    reading = Reading(number=1).at(BY_KEY).past([b"7", b"a"], 3)
    assert reading.at(BY_KEY) is reading


@every_row(
    "now",
    [
        scan_of(PUBLISHED, ORDERS, msgspec.structs.replace(ORDERS, key=("id",))),  # another key
        scan_of(PUBLISHED, ORDERS, msgspec.structs.replace(ORDERS, name="orders2")),
        BY_PLACE,
    ],
)
def test_a_scan_whose_key_means_something_else_begins_anew(now):
    reading = Reading(number=1).at(BY_KEY).past([b"7", b"a"], 3)
    assert reading.at(now).after == ()


def test_places_of_a_rewritten_table_mean_nothing():
    rewritten = scan_of(PUBLISHED, ORDERS, msgspec.structs.replace(ORDERS, key=(), file=16999))
    reading = Reading(number=1).at(BY_PLACE).past([b"(3,7)"], 9)
    assert reading.at(rewritten).after == ()
    by_key = scan_of(PUBLISHED, ORDERS, msgspec.structs.replace(ORDERS, file=16999))
    reading = Reading(number=1).at(BY_KEY).past([b"7", b"a"], 3)
    assert reading.at(by_key).after == ("7", "a")


def test_what_is_read_is_remembered_as_done():
    reading = Reading(number=1).at(BY_KEY).past([b"7", b"a"], 3).done_with(BY_KEY)
    assert (reading.done, reading.scan, reading.after, reading.rows) == (("public.orders",), "", (), 3)
