"""Which operations a request line can be meant for."""

from actions.mock.judging import MockBackend
from actions.mock.matching import base_of
from actions.specs.model import Server, Variable
from tests.tables import every_row
from tests.unit.actions.mock.described import backend, operation, spec_of, texts


def path_parameter(name: str, **schema):
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}}


@every_row(
    ("template", "names", "target", "found"),
    [
        ("/a/{id}", ["id"], "/v1/a/b", {"id": "b"}),
        ("/a/{id}", ["id"], "/v1/a/b%2Fc", {"id": "b/c"}),
        ("/a/{id}", ["id"], "/v1/a/b/c", None),
        ("/a/{id}", ["id"], "/v1/a/", None),
        ("/a/{id}", ["id"], "/a/b", None),
        ("/a/{id}.json", ["id"], "/v1/a/b.c.json", {"id": "b.c"}),
        ("/a/{id}.json", ["id"], "/v1/a/.json", None),
        ("/a/{id}.json", ["id"], "/v1/a/b.xml", None),
        ("/odata/things('{id}')", ["id"], "/v1/odata/things('b')", {"id": "b"}),
        ("/odata/things('{id}')", ["id"], "/v1/odata/things(%27b%27)", {"id": "b"}),
        ("/{from}-{to}", ["from", "to"], "/v1/a-b-c", {"from": "a", "to": "b-c"}),
        ("/a%20b/{id}", ["id"], "/v1/a%20b/c", {"id": "c"}),
        ("/a b/{id}", ["id"], "/v1/a%20b/c", {"id": "c"}),
        ("/ä/{id}", ["id"], "/v1/%C3%A4/%c3%a4", {"id": "ä"}),
        ("/a:run", [], "/v1/a:run", {}),
        ("/a:run", [], "/v1/a%3Arun", {}),
        ("/a/{id}#move", ["id"], "/v1/a/b", {"id": "b"}),
        ("/a/", [], "/v1/a/", {}),
        ("/a/", [], "/v1/a", None),
        ("/a?type=open", [], "/v1/a?type=open", {}),
        ("/a?type=open", [], "/v1/a", None),
        ("/a?type=open", [], "/v1/a?type=shut", None),
        ("/a?type=open&x", [], "/v1/a?x&type=open", {}),
        ("/a?id={id}", ["id"], "/v1/a?id=b%20c", {"id": "b c"}),
    ],
)
def test_a_path_is_matched_by_segments(template, names, target, found):
    mock = backend({template: {"get": operation(parameters=[path_parameter(name) for name in names])}})
    judgement = mock.judge("GET", target)
    if found is None:
        assert [one.status for one in judgement.faults] == [404]
    else:
        assert texts(judgement) == []
        assert judgement.arguments == found


def test_the_most_literal_path_is_taken_first():
    mock = backend(
        {
            "/a/{id}": {"get": operation(operationId="one", parameters=[path_parameter("id")])},
            "/a/me": {"get": operation(operationId="me")},
            "/a/m{rest}": {"get": operation(operationId="part", parameters=[path_parameter("rest")])},
        }
    )
    judgement = mock.judge("GET", "/v1/a/me")
    assert judgement.operation == "me"
    assert judgement.fits == ("me", "part", "one")


def test_operations_that_share_method_and_path_are_told_apart_by_what_arrives():
    def action(name):
        constant = {
            "name": "Action",
            "in": "query",
            "required": True,
            "schema": {"type": "string", "enum": [name]},
        }
        return {"get": operation(operationId=name, parameters=[constant])}

    mock = backend({f"/#Action={name}": action(name) for name in map("A{}".format, range(200))})
    assert mock.judge("GET", "/v1/?Action=A150").fits == ("A150",)
    refused = mock.judge("GET", "/v1/?Action=B")
    assert refused.fits == ()
    assert refused.answer.status == 400


def test_templates_that_differ_by_names_alone_all_fit():
    mock = backend(
        {
            "/a/{id}": {
                "get": operation(operationId="one", parameters=[path_parameter("id", type="integer")])
            },
            "/a/{name}": {"get": operation(operationId="two", parameters=[path_parameter("name")])},
        }
    )
    assert mock.judge("GET", "/v1/a/5").fits == ("one", "two")
    assert mock.judge("GET", "/v1/a/x").fits == ("two",)
    assert mock.judge("GET", "/v1/a/x").accepted


def test_another_method_is_405_and_says_which_there_are():
    mock = backend({"/a": {"get": operation(), "put": operation()}})
    judgement = mock.judge("POST", "/v1/a")
    assert judgement.answer.status == 405
    assert ("allow", "GET, PUT") in judgement.answer.headers


def test_an_unknown_path_is_404_and_names_a_near_one():
    judgement = backend({"/orders": {"get": operation()}}).judge("GET", "/v1/order")
    assert judgement.answer.status == 404
    assert "did you mean /orders?" in judgement.faults[0].text
    assert judgement.operation is None


@every_row(
    "target", ["", "x", "*", "/v1/a b", "/v1/a\x00", "/v1/ä", "/v1/%zz", "/v1/%", "http://", "/" * 70_000]
)
def test_a_target_that_is_none_is_400(target):
    judgement = backend({"/a": {"get": operation()}}).judge("GET", target)
    assert judgement.answer.status in (400, 404)
    assert not judgement.accepted


def test_an_absolute_target_counts_by_its_path():
    assert backend({"/a": {"get": operation()}}).judge("GET", "http://api.example/v1/a").accepted


@every_row(
    ("url", "variables", "targets", "others"),
    [
        ("https://h/v1", {}, ["/v1/a"], ["/a", "/v2/a", "/x/v1/a"]),
        ("https://h/v1/", {}, ["/v1/a"], ["/v1//a"]),
        ("/v1", {}, ["/v1/a"], ["/a"]),
        ("//h/v1", {}, ["/v1/a"], ["/a"]),
        ("https://{host}/v1", {"host": "x.y"}, ["/v1/a"], ["/a"]),
        ("{scheme}://{host}/v1", {"scheme": "https", "host": "x.y"}, ["/v1/a"], ["/a", "/x/a"]),
        ("https://h/{tenant}/v1", {"tenant": "t"}, ["/t/v1/a", "/other/v1/a"], ["/v1/a"]),
        ("https://h/{base}", {"base": "api/v1"}, ["/api/v1/a", "/a"], ["/b"]),
        ("https://h{base}", {"base": "/api/v1"}, ["/api/v1/a", "/a"], ["/b"]),
        ("{root}", {"root": ""}, ["/a", "/any/thing/a"], ["/a/b"]),
        ("{root}/v2", {"root": "https://h"}, ["/v2/a", "/x/v2/a"], ["/a"]),
    ],
)
def test_base_paths_and_their_variables(url, variables, targets, others):
    server = {"url": url, "variables": {name: {"default": value} for name, value in variables.items()}}
    mock = MockBackend(spec_of({"/a": {"get": operation()}}, servers=[server]))
    assert [target for target in targets if not mock.judge("GET", target).accepted] == []
    assert [target for target in others if mock.judge("GET", target).accepted] == []


def test_an_operation_is_found_below_each_of_its_servers():
    spec = spec_of({"/a": {"get": operation(servers=[{"url": "https://x/one"}, {"url": "https://y/two"}])}})
    mock = MockBackend(spec)
    assert [mock.judge("GET", target).answer.status for target in ("/one/a", "/two/a", "/v1/a")] == [
        200,
        200,
        404,
    ]


def test_without_servers_any_base_path_will_do():
    mock = MockBackend(spec_of({"/a": {"get": operation()}, "/": {"get": operation()}}, servers=[]))
    assert mock.judge("GET", "/a").accepted
    assert mock.judge("GET", "/any/thing/a").operation == "get_a"
    assert mock.judge("GET", "/").accepted


def test_extra_routes_are_found_where_policies_rewrite_paths():
    spec = spec_of(
        {"/trigger/{id}": {"get": operation(operationId="poll", parameters=[path_parameter("id")])}}
    )
    mock = MockBackend(spec, extra=[("poll", "POST", "/surveys/{id}"), ("nobody", "GET", "/x")])
    assert mock.judge("POST", "/v1/surveys/5").arguments == {"id": "5"}
    assert mock.judge("POST", "/surveys/5").operation == "poll"
    assert mock.judge("GET", "/v1/trigger/5").operation == "poll"


def test_many_parameters_in_a_segment_take_no_time():
    names = [f"p{number}" for number in range(8)]
    template = "/" + "-".join(f"{{{name}}}" for name in names) + "!"
    mock = backend({template: {"get": operation(parameters=[path_parameter(name) for name in names])}})
    assert mock.judge("GET", "/v1/" + "-" * 30_000).answer.status == 404


def test_a_server_variable_without_a_declaration_is_a_segment():
    base = base_of(Server(url="https://h/{x}/y", variables={"x": Variable(default=None)}))
    assert not base.open
    assert len(base.segments) == 2


def spanning(name: str) -> dict[str, object]:
    return {**path_parameter(name), "allowReserved": True}


@every_row(
    ("target", "found"),
    [
        ("/v1/a/b/c/d/locks", {"scope": "b/c/d"}),
        ("/v1/a/b/locks", {"scope": "b"}),
        ("/v1/a/locks", None),
        ("/v1/a/b/c", None),
        ("/v1/x/b/locks", None),
    ],
)
def test_a_parameter_that_keeps_its_slashes_may_be_several_segments(
    target: str, found: dict[str, str] | None
) -> None:
    mock = backend({"/a/{scope}/locks": {"get": operation(parameters=[spanning("scope")])}})
    judgement = mock.judge("GET", target)
    assert judgement.accepted is (found is not None), texts(judgement)
    assert found is None or judgement.arguments == found


def test_a_constant_of_the_path_is_the_value_of_a_parameter_of_its_name() -> None:
    comp = {"name": "comp", "in": "query", "required": True, "schema": {"enum": ["list"]}}
    mock = backend({"/?comp=list": {"get": operation(parameters=[comp])}})
    assert mock.judge("GET", "/v1/?comp=list").accepted
    assert not mock.judge("GET", "/v1/?comp=other").accepted


@every_row(("target", "status"), [("/v1/a", 200), ("/v1/eu/a", 200), ("/a", 404)])
def test_a_last_variable_that_is_nothing_by_default_may_be_missing(target: str, status: int) -> None:
    variables = {"area": {"default": ""}}
    spec = spec_of({"/a": {"get": operation()}}, servers=[{"url": "/v1/{area}", "variables": variables}])
    assert MockBackend(spec).judge("GET", target, [], b"").answer.status == status
