"""What is found wrong with a policy before anything is called."""

import pytest

from actions.templates import KNOWN_TEMPLATES, check
from tests.tables import every_row


def test_there_are_sixteen() -> None:
    assert len(KNOWN_TEMPLATES) == 16


@every_row(
    ("template", "parameters"),
    [
        ("setHeader", {"x-ms-apimTemplateParameter.name": "A", "x-ms-apimTemplateParameter.value": "b"}),
        ("setheader", {"name": "A", "value": ""} | {"value": "x"}),
        ("dynamichosturl", {"urlTemplate": "https://@connectionParameters('a', 'b')/c"}),
        ("routerequesttoendpoint", {"newPath": "/{a}", "httpMethod": "@Request.OriginalHTTPMethod"}),
        ("updatenextlink", {"nextLinkPropertyName": "@odata.nextLink"}),
        ("setconnectionstatustounauthenticated", {"statusCode": 401}),
        ("convertarraytoobject", {"propertyParentPath": "@body()", "keyWithinCollectionPath": "Name"}),
        (
            "convertarraytoobject",
            {"propertyParentPathTemplate": "@body()", "keyWithinCollectionPathTemplate": "N"},
        ),
    ],
)
def test_a_good_one_has_no_problem(template: str, parameters: dict[str, object]) -> None:
    assert check(template, parameters) == ""


@pytest.mark.parametrize(
    ("template", "parameters", "said"),
    [
        ("setheadr", {}, "there is no policy template 'setheadr'; did you mean setheader?"),
        ("zzz", {}, "there are setheader"),
        ("setheader", {}, "name is missing; value is missing"),
        ("setheader", {"nam": "A", "value": "b"}, "name is missing (there is nam)"),
        ("setheader", {"name": "A b", "value": "b"}, "'A b' cannot be the name of a header"),
        ("setheader", {"name": "Content-Length", "value": "1"}, "frames the message"),
        (
            "setheader",
            {"name": "A", "value": "@queryParamters('x')"},
            "value: there is no function queryParamters",
        ),
        (
            "setheader",
            {"name": "A", "value": "b", "existsAction": "x"},
            "'x' is not one of override, skip, append",
        ),
        ("dynamichosturl", {"urlTemplate": "https://@body().x"}, "a body never chooses the host"),
        ("routerequesttoendpoint", {"newPath": "/", "httpMethod": "FETCH"}, "'FETCH' is no method"),
        ("routerequesttoendpoint", {"newPath": "/", "httpMethod": "@headers('x')"}, "is no method"),
        (
            "pollingtrigger",
            {"triggerConfig": "x", "triggerDataPath": "@triggerBody()"},
            "should be an object",
        ),
        (
            "pollingtrigger",
            {"triggerConfig": {"a": "@x()"}, "triggerDataPath": "@body()"},
            "there is no function x",
        ),
        (
            "setproperty",
            {
                "newPropertyParentPathTemplate": "@body() x.y",
                "newPropertySubPathTemplate": "@body().x",
                "propertyValuePathTemplate": "v",
            },
            "newPropertyParentPathTemplate: '@body() x.y' is no path",
        ),
        (
            "setvaluefromurl",
            {"parameterTemplate": "x", "parameterValueUrl": "/", "parameterValuePathTemplate": "@body()"},
            "'x' is not @headers('…')",
        ),
        ("setconnectionstatustounauthenticated", {"statusCode": "2xx"}, "no status of an error"),
    ],
)
def test_everything_that_is_wrong_is_said(template: str, parameters: dict[str, object], said: str) -> None:
    assert said in check(template, parameters)


def test_a_value_is_fetched_before_the_request_only() -> None:
    given = {
        "parameterTemplate": "@headers('a')",
        "parameterValueUrl": "/x",
        "parameterValuePathTemplate": "@body().a",
    }
    assert check("setvaluefromurl", given) == ""
    assert "section must be Request" in check("setvaluefromurl", given, "response")
