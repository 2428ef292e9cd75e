import json
import os
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from service.config.check import load_configuration
from service.config.secrets import PLACEHOLDER, put_secrets
from service.config.shape import holds_secrets
from tests.unit.config.bell import BellConfig

SHOP = "connectors: {shop: {spec: shop.json}}\nconnections:\n  shop: {connector: shop, auth: AUTH}\n"
CANARY = "canary-7f3a91"


def everything(checked):
    """All text that a check could show or store."""
    shown = [
        str(checked.configuration),
        repr(checked.configuration),
        repr(checked),
        checked.document.decode(),
    ]
    shown += [f"{problem!r} {problem}" for problem in checked.problems]
    if checked.configuration is not None:
        shown.append(checked.configuration.model_dump_json())
        shown.append(str(checked.configuration.model_dump()))
    return "\n".join(shown)


def test_references_are_resolved_and_nothing_shows_the_value(check, write):
    write("token", CANARY + "-file\n").chmod(0o600)
    text = SHOP.replace(
        "AUTH",
        "{schemes: {a: {bearer: {env: A}}, b: {basic: {username: u, password: {file: token}}}, c: {api_key: {env: A}, in: query, name: k}}}",
    )
    text += "sources: {door: {kind: bell, verify: {scheme: password, user: u, password: {env: A}}, tokens: {x: {env: A}}, loose: {env: A}}}\n"
    checked = check(text, A=CANARY)
    assert checked.problems == ()
    schemes = checked.configuration.connections["shop"].auth.schemes
    assert schemes["a"].bearer.get_secret_value() == CANARY
    assert schemes["b"].basic.password.get_secret_value() == CANARY + "-file"
    assert (schemes["c"].api_key.get_secret_value(), schemes["c"].in_) == (CANARY, "query")
    door = checked.configuration.sources["door"]
    assert door.verify.password.get_secret_value() == CANARY
    assert door.tokens["x"].get_secret_value() == CANARY
    assert door.loose.get_secret_value() == CANARY
    assert CANARY not in everything(checked)
    assert json.loads(checked.document)["sources"]["door"]["verify"]["password"] == {"env": "A"}


def test_plain_text_stays_where_plain_text_is_welcome(check):
    assert (
        check("sources: {door: {kind: bell, loose: hello}}\n").configuration.sources["door"].loose == "hello"
    )


@pytest.mark.parametrize(
    ("auth", "code", "column", "words"),
    [
        ("{bearer: canary-7f3a91}", "secret-plain", 42, "never plain"),
        ("{bearer: '00canary-7f3a91'}", "secret-plain", 42, "write {env: NAME}"),
        ("{basic: {username: u, password: canary-7f3a91}}", "secret-plain", 65, "never plain"),
        ("{bearer: 12345678901}", "secret-plain", 42, "never plain"),
        ("{bearer: [canary-7f3a91]}", "secret-plain", 42, "never plain"),
        ("{bearer: {env: 'canary-7f3a91'}}", "secret-reference", 48, "not the name of an environment variable"),
        ("{bearer: {env: A, file: b}}", "secret-reference", 42, "exactly one"),
        ("{bearer: {vault: a}}", "secret-reference", 42, "exactly one"),
        ("{bearer: {}}", "secret-reference", 42, "exactly one"),
        ("{bearer: {env: 5}}", "secret-reference", 48, "not the name"),
        ("{bearer: {file: 5}}", "secret-reference", 49, "not the path"),
        ("{bearer: {sealed: abc}}", "secret-sealed", 51, "key ring pointsman.key cannot be read"),
        ("{bearer: {env: MISSING}}", "secret-missing", 48, "MISSING is not set"),
        ("{bearer: {env: EMPTY}}", "secret-missing", 48, "EMPTY is empty"),
        ("{bearer: {file: absent}}", "secret-missing", 49, "cannot be read: No such file"),
        ("{bearer: {file: .}}", "secret-missing", 49, "not a regular file"),
        ("{bearer: {file: empty}}", "secret-missing", 49, "is empty"),
        ("{bearer: {file: binary}}", "secret-missing", 49, "not UTF-8"),
        ("{bearer: {file: large}}", "secret-missing", 49, "more than 65,536 bytes"),
        ("{bearer: {file: pipe}}", "secret-missing", 49, "not a regular file"),
        ("{bearer: {file: open}}", "secret-open", 49, "chmod 600 open"),
        ("{bearer: {file: wide}}", "secret-open", 49, "others may write"),
        ("canary-7f3a91", "wrong-type", 33, "must be a mapping"),
        ("{bearr: canary-7f3a91, bearer: {env: GOOD}}", "unknown-field", 34, "did you mean `bearer`?"),
        ("{bearer:canary-7f3a91}", "unknown-field", 34, "with a space behind the colon"),
        ("{basic: canary-7f3a91}", "wrong-type", 41, "must be a mapping"),
        ("{bearer: {env: GOOD}, api_key: {env: GOOD}}", "wrong-value", 33, "2 are given"),
        ("{api_key: {env: GOOD}, in: header}", "wrong-value", 33, "go together"),
        ("{bearer: {env: GOOD}, name: x, in: header}", "wrong-value", 33, "belong to `api_key`"),
        ("{bearer: }", "wrong-value", 33, "give one of"),
        ("{schemes: {}}", "out-of-range", 43, "must not be empty"),
    ],
)  # fmt: skip
def test_what_is_no_usable_reference_is_refused(check, write, folder, auth, code, column, words):
    for name, data, mode in [
        ("empty", b"\n", 0o600),
        ("binary", b"\xff\xfe", 0o600),
        ("large", b"x" * 70_000, 0o600),
        ("open", b"secret\n", 0o644),
        ("wide", b"secret\n", 0o666),
    ]:
        write(name, data).chmod(mode)
    os.mkfifo(folder / "pipe")
    checked = check(SHOP.replace("AUTH", auth), EMPTY="", GOOD="good-secret")
    said = [problem for problem in checked.problems if problem.file]
    assert [(one.code, one.line, one.column) for one in said][:1] == [(code, 3, column)]
    assert words in f"{said[0].message}; {said[0].fix}"
    assert CANARY not in everything(checked).replace("connections.shop", "")
    assert "good-secret" not in everything(checked)


def test_a_secret_file_that_others_may_read_is_only_warned_about(check, write):
    write("token", "value").chmod(0o644)
    checked = check(SHOP.replace("AUTH", "{bearer: {file: token}}"))
    assert [problem.severity for problem in checked.problems] == ["warning"]
    assert checked.configuration is not None


def test_a_secret_file_keeps_all_but_its_last_line_break(check, write):
    write("token", b" two\nlines \r\n").chmod(0o600)
    checked = check(SHOP.replace("AUTH", "{bearer: {file: token}}"))
    assert checked.configuration.connections["shop"].auth.bearer.get_secret_value() == " two\nlines "


def test_offline_a_missing_secret_is_a_warning_and_a_placeholder_stands_for_it(check):
    text = "sources: {door: {kind: bell, verify: {scheme: signed, secrets: [{env: GONE}]}}}\n"
    checked = check(text, resolve=False)
    (problem,) = checked.problems
    assert (problem.code, problem.severity) == ("secret-missing", "warning")
    secrets = checked.configuration.sources["door"].verify.secrets
    assert secrets[0].get_secret_value() == PLACEHOLDER
    assert check(text, resolve=True).configuration is None


def test_what_an_adapter_says_about_a_secret_is_masked(check):
    text = "sources: {door: {kind: bell, verify: {scheme: signed, secrets: [{env: SHORT}]}}}\n"
    (problem,) = check(text, SHORT="abcd").problems
    assert problem.message == "the secret *** is too short"
    assert "abcd" not in repr(problem)


def test_masking_one_resource_does_not_garble_what_is_said_about_another(check):
    text = "sources: {door: {kind: bell, loose: {env: WORD}}, hall: {kind: bel, volume: 5}}\n"
    (problem,) = check(text, WORD="bell").problems
    assert problem.fix == "did you mean `bell`?"


def test_one_reference_where_a_list_of_them_is_wanted_is_told_so(check):
    text = "sources: {door: {kind: bell, verify: {scheme: signed, secrets: {env: NAME}}}}\n"
    (problem,) = check(text, NAME="value").problems
    assert (problem.code, problem.found, problem.column) == ("wrong-type", "a mapping", 64)
    assert "`secrets` must be a list" in problem.message


def test_what_an_adapter_says_about_a_placeholder_is_left_out(check, monkeypatch):
    monkeypatch.setattr("service.config.secrets.PLACEHOLDER", "x")
    text = "sources: {door: {kind: bell, verify: {scheme: signed, secrets: [{env: GONE}]}}}\n"
    assert [one.code for one in check(text).problems] == ["secret-missing"]


class Nested(BaseModel):
    child: "Nested | None" = None
    pairs: tuple[str, SecretStr] | None = None
    many: list[dict[str, SecretStr]] = []


def test_secrets_are_found_wherever_a_type_puts_them():
    seen = {}

    class Notes:
        def resolve(self, value, pointer):
            seen[pointer] = value
            return SecretStr("x")

        def suspect(self, pointer):
            seen[pointer] = "suspect"

    value = {
        "child": {"child": {"pairs": ["a", {"env": "B"}]}},
        "many": [{"k/l": {"env": "C"}}],
        "other": {"env": "D"},
    }
    filled = put_secrets(Nested, value, "", Notes())
    assert seen == {"/child/child/pairs/1": {"env": "B"}, "/many/0/k~1l": {"env": "C"}}
    assert isinstance(filled["child"]["child"]["pairs"][1], SecretStr)
    assert value["many"][0]["k/l"] == {"env": "C"}
    seen.clear()
    put_secrets(Nested, {"pairs": "text", "many": {"env": "A"}, "child": {"many": ["text", 5]}}, "", Notes())
    assert seen == {"/pairs": "suspect", "/child/many/0": "suspect"}
    assert holds_secrets(BellConfig)
    assert not holds_secrets(dict[str, str])


def test_for_one_connection_no_other_reference_is_followed(write):
    write("pointsman.yaml", ONE_OF_MANY)
    given = {"SHOP": CANARY, "CRM": "other", "DOOR": "other"}
    asked = []

    class Environment(dict):
        def get(self, name, default=None):
            asked.append(name)
            return super().get(name, default)

    checked = load_configuration(
        Path("pointsman.yaml"), resolve=True, env=Environment(given), connection="shop"
    )
    assert asked == ["SHOP"]
    assert checked.problems == ()
    connections = checked.configuration.connections
    assert connections["shop"].auth.bearer.get_secret_value() == CANARY
    assert connections["crm"].auth.bearer.get_secret_value() == PLACEHOLDER
    assert CANARY not in everything(checked)


def test_for_one_connection_a_secret_in_plain_is_an_error_wherever_it_is(write):
    write("pointsman.yaml", ONE_OF_MANY.replace("{env: CRM}", CANARY))
    checked = load_configuration(Path("pointsman.yaml"), resolve=True, env={"SHOP": "x"}, connection="shop")
    assert [one.code for one in checked.problems] == ["secret-plain"]
    assert CANARY not in everything(checked)


ONE_OF_MANY = """
connectors: {shop: {spec: shop.json}}
connections:
  shop: {connector: shop, auth: {bearer: {env: SHOP}}}
  crm: {connector: shop, auth: {bearer: {env: CRM}}}
sources:
  door: {kind: bell, verify: {scheme: password, user: u, password: {env: DOOR}}}
"""
