"""Connection parameters against their description."""

from pydantic import SecretStr

from actions.specs.model import ConnectionParameter, Spec
from service.config.backends import ConnectionConfig
from service.parameters import check_parameters, chosen_values, parameter_values
from tests.tables import every_row

KNOWN = {
    one.name: one
    for one in (
        ConnectionParameter(name="instance", required=True),
        ConnectionParameter(name="region", enum=("eu", "us"), required=True, default="eu"),
        ConnectionParameter(name="port", kind="integer"),
        ConnectionParameter(name="test", kind="boolean"),
        ConnectionParameter(name="api_key", kind="secret", required=True, sets=("key",)),
        ConnectionParameter(name="token", kind="oauth", required=True, sets=("oauth",)),
    )
}
SPEC = Spec(parameters=KNOWN, parameter_sets={"key": "API key", "oauth": "Log in"})


def found(**config):
    given = ConnectionConfig(connector="c", **config)
    return [(one.code, one.pointer, one.fix) for one in check_parameters("/connections/c", given, SPEC)]


GOOD = {"instance": "contoso", "api_key": SecretStr("k")}


def test_what_is_right_is_said_nothing_about():
    more = {"region": "us", "port": 443, "test": True}
    assert found(parameter_set="key", parameters={**GOOD, **more}) == []


@every_row(
    ("parameters", "code", "where", "fix"),
    [
        ({"instanz": "x"}, "unknown-parameter", "/parameters/instanz", "did you mean instance?"),
        ({"zzz": "x"}, "unknown-parameter", "/parameters/zzz", "it has: instance, region"),
        ({"region": "mars"}, "wrong-choice", "/parameters/region", "one of: eu, us"),
        ({"port": "http"}, "wrong-type", "/parameters/port", ""),
        ({"test": "maybe"}, "wrong-type", "/parameters/test", ""),
        ({"api_key": "plain"}, "secret-plain", "/parameters/api_key", "write {env: NAME}"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(parameters, code, where, fix):
    ((told, pointer, right),) = found(parameter_set="key", parameters={**GOOD, **parameters})
    assert (told, pointer) == (code, f"/connections/c{where}")
    assert right.startswith(fix)


def test_what_is_missing_is_a_warning_for_the_set_that_is_meant():
    assert [fix for _, _, fix in found()] == ["give it under `parameters`: {instance: …}"]
    assert [fix for _, _, fix in found(parameter_set="key", parameters={"instance": "x"})] == [
        "give it under `parameters`: {api_key: …}"
    ]
    assert found(parameter_set="oauth", parameters={"instance": "x"}) == []
    assert found(parameter_set="key", parameters={"instance": "x"}, auth={"bearer": "t"}) == []


@every_row(("name", "fix"), [("keys", "did you mean key?"), ("zzz", "it has: key, oauth")])
def test_a_set_that_is_not_there(name, fix):
    told = found(parameter_set=name, parameters=GOOD)
    assert told == [("unknown-parameter-set", "/connections/c/parameter_set", fix)]


def test_values_become_text():
    given = ConnectionConfig(connector="c", parameters={"a": True, "b": 7, "c": "x", "d": SecretStr("s")})
    assert parameter_values(given) == {"a": "true", "b": "7", "c": "x", "d": "s"}


def test_only_values_of_the_set_that_is_meant_count():
    given = ConnectionConfig(connector="c", parameters={**GOOD, "other": "x"}, parameter_set="oauth")
    assert chosen_values(given, SPEC) == {"instance": "contoso", "other": "x"}
    assert chosen_values(ConnectionConfig(connector="c", parameters=GOOD), SPEC).keys() == GOOD.keys()
