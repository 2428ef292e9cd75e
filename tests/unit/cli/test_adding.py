"""`connectors add`, `connectors fetch`, `connections add`: the configuration file gets a part, and nothing else changes."""

import json
import stat

import pytest

from service.config.include import load_files

OLD = """\
swagger: "2.0"
info: {title: Shop, version: "1"}
host: shop.example
schemes: [https]
securityDefinitions: {key: {type: apiKey, in: header, name: X-Key}}
paths: {/orders: {get: {operationId: listOrders, responses: {200: {description: x}}}}}
"""
BARE = """\
openapi: 3.0.0
info: {title: Bare, version: "1"}
components: {securitySchemes: {login: {type: http, scheme: basic}}}
paths: {/a: {get: {operationId: getA, responses: {"200": {description: x}}}}}
"""
CONFIG = """\
# What we have.
version: 1

connectors:   # all of them
    old:      # the old shop
        spec: specs/shop.yaml
        # its second comment

    # shop: {spec: elsewhere}

connections: {old: {connector: old}}  # one line

rules: {}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "shop.yaml").write_text(OLD, "utf-8")
    (tmp_path / "specs" / "bare.yaml").write_text(BARE, "utf-8")
    (tmp_path / "pointsman.yaml").write_text(CONFIG, "utf-8")
    return tmp_path


def config(place):
    return (place / "pointsman.yaml").read_text("utf-8")


def loaded(place, name="pointsman.yaml"):
    return load_files(place / name).document


def untouched(place):
    return config(place) == CONFIG and sorted(one.name for one in place.iterdir()) == [
        "pointsman.yaml",
        "specs",
    ]


def test_a_connector_is_added_and_everything_else_stays(pointsman, place):
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    assert ran.code == 0
    added = "    shop:\n      spec: specs/shop.yaml\n"
    assert config(place) == CONFIG.replace(
        "        # its second comment\n", "        # its second comment\n" + added
    )
    assert "connector shop is in pointsman.yaml" in ran.out
    assert "Shop 1 (swagger2): 1 operations" in ran.out
    assert "next: pointsman connections add shop --connector shop --api-key-env VARIABLE" in ran.err


def test_a_connection_is_added_with_its_login_named(pointsman, place):
    ran = pointsman(
        "connections", "add", "new", "--connector", "old", "--api-key-env", "SHOP_KEY", "-o", "json"
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {
        "name": "new",
        "connector": "old",
        "auth": {"api_key": {"env": "SHOP_KEY"}},
    }
    assert loaded(place)["connections"]["new"] == {
        "connector": "old",
        "auth": {"api_key": {"env": "SHOP_KEY"}},
    }
    assert 'connections: {old: {connector: old}, "new": {"connector": "old"' in config(place)
    assert "# one line" in config(place)
    assert "SHOP_KEY" in ran.err  # it is not set


@pytest.mark.parametrize(
    ("words", "auth"),
    [
        (["--bearer-env", "T"], {"bearer": {"env": "T"}}),
        (["--basic", "me:P"], {"basic": {"username": "me", "password": {"env": "P"}}}),
        (
            ["--client", "id:S", "--server", "https://x.example", "--egress", "public"],
            {"oauth2": {"client_id": "id", "client_secret": {"env": "S"}}},
        ),
    ],
)
def test_each_way_to_log_in_is_written_as_the_configuration_says_it(pointsman, place, words, auth):
    words = [*words, "--server", "https://bare.example"] if "--server" not in words else words
    pointsman("connectors", "add", "bare", "specs/bare.yaml")
    ran = pointsman("connections", "add", "new", "--connector", "bare", *words)
    if "--client" in words:  # the description names no token server
        assert ran.code == 1
        assert "token_url" in ran.err
        return
    assert ran.code == 0, ran.err
    assert loaded(place)["connections"]["new"]["auth"] == auth


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1\n", "version: 1\n\nconnectors:\n  shop:\n    spec: specs/shop.yaml\n"),
        ("version: 1", "version: 1\n\nconnectors:\n  shop:\n    spec: specs/shop.yaml\n"),
        ("connectors:\nversion: 1\n", "connectors:\n  shop:\n    spec: specs/shop.yaml\nversion: 1\n"),
        ("connectors: # none\nversion: 1\n", "connectors: # none\n  shop:\n    spec: specs/shop.yaml\nversion: 1\n"),
        ("connectors: {} # none\nversion: 1\n", "connectors: # none\n  shop:\n    spec: specs/shop.yaml\nversion: 1\n"),
        ("connectors: null\nversion: 1\n", "connectors:\n  shop:\n    spec: specs/shop.yaml\nversion: 1\n"),
        ("connectors:\n  a: {spec: specs/shop.yaml}", "connectors:\n  a: {spec: specs/shop.yaml}\n  shop:\n    spec: specs/shop.yaml\n"),
        ("connectors:\n  a:\n    spec: |-\n      specs/shop.yaml\nversion: 1\n", "connectors:\n  a:\n    spec: |-\n      specs/shop.yaml\n  shop:\n    spec: specs/shop.yaml\nversion: 1\n"),
        ("\ufeffversion: 1\r\nconnectors:\r\n  a: {spec: specs/shop.yaml}\r\n", "\ufeffversion: 1\r\nconnectors:\r\n  a: {spec: specs/shop.yaml}\r\n  shop:\r\n    spec: specs/shop.yaml\r\n"),
        ('{"version": 1}', '{"version": 1, "connectors": {"shop": {"spec": "specs/shop.yaml"}}}'),
        ("connectors: {a: {spec: specs/shop.yaml},}\n", 'connectors: {a: {spec: specs/shop.yaml}, "shop": {"spec": "specs/shop.yaml"}}\n'),
    ],
)  # fmt: skip
def test_any_layout_of_a_file_is_kept(pointsman, place, before, after):
    (place / "pointsman.yaml").write_bytes(before.encode())
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    assert (ran.code, ran.err.count("error")) == (0, 0), ran.err
    assert (place / "pointsman.yaml").read_bytes().decode() == after


def test_json_stays_json(pointsman, place):
    (place / "pointsman.json").write_text('{\n  "version": 1,\n  "connectors": {\n  }\n}\n', "utf-8")
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml", "-c", "pointsman.json")
    assert ran.code == 0, ran.err
    assert json.loads((place / "pointsman.json").read_text("utf-8"))["connectors"] == {
        "shop": {"spec": "specs/shop.yaml"}
    }


def test_a_layout_that_nothing_is_inserted_into_is_left_and_the_text_is_said(pointsman, place):
    tricky = "connectors: {a: {spec: specs/shop.yaml} # so, they say, }\n  }\n"
    (place / "pointsman.yaml").write_text(tricky, "utf-8")
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    if ran.code == 0:  # it was inserted after all: then it means what it should
        assert set(loaded(place)["connectors"]) == {"a", "shop"}
    else:
        assert config(place) == tricky
        assert "add it by hand:\nconnectors:\n  shop:\n    spec: specs/shop.yaml" in ran.err


def test_the_mode_of_the_file_stays_and_a_link_stays_a_link(pointsman, place):
    real = place / "specs" / "real.yaml"
    real.write_text("version: 1\n", "utf-8")
    real.chmod(0o640)
    (place / "pointsman.yaml").unlink()
    (place / "pointsman.yaml").symlink_to(real)
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    assert ran.code in (0, 1)
    assert (place / "pointsman.yaml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["connectors", "add", "old", "specs/shop.yaml"], "there is a connector old"),
        (["connectors", "add", "shop", "specs/nowhere.yaml"], "is not there"),
        (["connectors", "add", "shop", "pointsman.yaml"], "not an API description"),
        (["connectors", "add", "shop", "specs"], "there are 2 descriptions"),
        (["connectors", "add", "a b", "specs/shop.yaml"], "a b"),
        (["connections", "add", "new", "--connector", "odl"], "odl"),
        (["connections", "add", "old", "--connector", "old"], "there is a connection old"),
        (["connections", "add", "new", "--connector", "old", "--server", "nonsense"], "server"),
        (["connections", "add", "new", "--connector", "old", "--variable", "x=1"], "x"),
        (["connections", "add", "new", "--connector", "old", "--egress", "not a host!"], "egress"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_changed(pointsman, place, words, said):
    ran = pointsman(*words)
    assert ran.code == 1
    assert said in ran.err
    assert untouched(place)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--basic", "nobody"], "wants NAME:VARIABLE"),
        (["--parameter", "x"], "wants NAME=VALUE"),
        (["--bearer-env", "A", "--api-key-env", "B"], "one way to log in is wanted, 2 are given"),
    ],
)
def test_wrong_usage_is_told(pointsman, place, words, said):
    ran = pointsman("connections", "add", "new", "--connector", "old", *words)
    assert ran.code == 2
    assert said in ran.err
    assert untouched(place)


def test_without_a_configuration_there_is_nothing_to_add_to(pointsman, tmp_path):
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    assert ran.code == 1
    assert "pointsman init" in ran.err


def test_a_broken_configuration_is_told_first(pointsman, place):
    (place / "pointsman.yaml").write_text("connectors: [\n", "utf-8")
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml")
    assert ran.code == 1
    assert "pointsman.yaml:" in ran.err


def test_what_was_wrong_before_does_not_keep_anything_from_being_added(pointsman, place):
    (place / "pointsman.yaml").write_text(CONFIG.replace("rules: {}", "rules: {a: {do: []}}"), "utf-8")
    assert pointsman("connectors", "add", "shop", "specs/shop.yaml").code == 0


def test_a_connector_is_shown_with_what_it_holds(pointsman, place):
    ran = pointsman("connectors", "show", "old", "-o", "json")
    shown = json.loads(ran.out)
    assert (shown["title"], shown["format"], shown["operations"]["all"]) == ("Shop", "swagger2", 1)
    assert shown["servers"] == [{"url": "https://shop.example", "variables": ""}]
    assert shown["logins"] == [{"name": "key", "kind": "apiKey", "where": "header X-Key", "problem": ""}]
    assert shown["connections"] == ["old"]
    assert (
        json.loads(pointsman("connectors", "show", "old.listOrders", "-o", "json").out)["id"] == "listOrders"
    )


def test_a_connector_that_is_not_there_is_told(pointsman, place):
    ran = pointsman("connectors", "show", "odl")
    assert ran.code == 1
    assert "did you mean old?" in ran.err


def test_a_url_that_may_not_be_called_is_refused_and_nothing_is_changed(pointsman, place):
    ran = pointsman("connectors", "add", "shop", "http://127.0.0.1:9/openapi.json")
    assert ran.code == 1
    assert "127.0.0.1" in ran.err
    assert untouched(place)


def test_only_a_description_from_a_url_is_fetched(pointsman, place):
    ran = pointsman("connectors", "fetch", "old")
    assert ran.code == 1
    assert "is not from a URL" in ran.err


def test_the_operations_that_are_wanted_are_written_and_counted(pointsman, place):
    (place / "specs" / "shop.yaml").write_text(
        OLD.replace("operationId: listOrders,", "operationId: listOrders, tags: [read],").replace(
            "paths: {", "paths: {/users: {get: {operationId: users, responses: {200: {description: x}}}}, "
        ),
        "utf-8",
    )
    words = ("--include", "tag:read", "--include", "GET /none*", "--exclude", "DELETE *")
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml", *words)
    assert ran.code == 0, ran.err
    assert loaded(place)["connectors"]["shop"] == {
        "spec": "specs/shop.yaml",
        "operations": {"include": ["tag:read", "GET /none*"], "exclude": ["DELETE *"]},
    }
    assert "1 operations, 1 left out" in ran.out
    assert ran.err.count("the entry changes nothing") == 2
    assert pointsman("operations", "list", "shop").out.count("shop.") == 1
    shown = json.loads(pointsman("connectors", "show", "shop", "-o", "json").out)
    assert shown["operations"]["left_out"] == 1
    refused = pointsman("connectors", "show", "shop.users")
    assert refused.code == 1
    assert "left out by `operations` of its connector: `include` does not name it" in refused.err
    assert pointsman("connectors", "export", "shop").out.count("operationId") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--include", "nothing"], "nothing is left: none of 1 operations is wanted"),
        (["--exclude", "*"], "nothing is left"),
        (["--exclude", "tag:"], "names an operation or a tag"),
        (["--include", "a**"], "two stars in a row"),
    ],
)
def test_a_connector_of_which_nothing_would_be_left_is_not_added(pointsman, place, words, said):
    ran = pointsman("connectors", "add", "shop", "specs/shop.yaml", *words)
    assert ran.code == 1
    assert said in ran.err
    assert untouched(place)
