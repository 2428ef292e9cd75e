"""`connectors draft`: from a command of curl to a description, or into one that is there."""

import json

import pytest
import yaml

CURL = "curl -X POST 'https://api.example/orders/17?api_key=s3cret' -H 'X-Version: 2.10' --json '{\"note\": null}' | jq ."
ANSWER = '{"id": 4711, "at": "2024-02-29T10:00:00Z"}'


@pytest.fixture
def draft(pointsman, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words, **more: pointsman("connectors", "draft", *words, **more)


def test_a_draft_goes_to_standard_output_and_what_to_know_to_standard_error(draft):
    ran = draft("--curl", CURL, "--answer", ANSWER, "--id", "annotate", "--title", "Shop")
    assert ran.code == 0
    document = yaml.safe_load(ran.out)
    operation = document["paths"]["/orders/{orderId}"]["post"]
    assert (document["info"]["title"], operation["operationId"]) == ("Shop", "annotate")
    assert operation["security"] == [{"api_key": []}]
    assert "s3cret" not in ran.out + ran.err
    assert "4711" not in ran.out
    assert ran.err.splitlines() == [
        "left out: the value of query field api_key; the connection gives it under `auth`",
        "inputs of the path: orderId",
        "only the first command is read, not what comes from '| jq .' on",
    ]


def test_a_sample_comes_from_files_or_standard_input(draft, tmp_path):
    (tmp_path / "c.sh").write_text(CURL, "utf-8")
    (tmp_path / "a.json").write_text(ANSWER, "utf-8")
    ran = draft("--curl", "@c.sh", "--answer", "@a.json", "-o", "json")
    assert json.loads(ran.out)["openapi"] == "3.1.0"
    assert draft("--curl", "-", "--answer", ANSWER, "-o", "json", stdin=CURL.encode()).out == ran.out


@pytest.mark.parametrize("name", ["api.yaml", "api.json"])
def test_further_operations_go_into_the_same_file(draft, pointsman, tmp_path, name):
    ran = draft("--curl", CURL, "-o", name.rpartition(".")[2])
    (tmp_path / name).write_text(ran.out, "utf-8")
    ran = draft("--curl", "curl -u a:b https://api.example/orders/18", "--into", name, "--id", "getOrder")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines()[-1] == f"{name} has getOrder now: GET /orders/{{orderId}}"
    read = json.loads(pointsman("connectors", "read", name, "-o", "jsonl").out)
    assert read["findings"] == []
    assert [(one["id"], one["status"]) for one in read["operations"]] == [
        ("post_orders_by_orderId", "ok"),
        ("getOrder", "ok"),
    ]
    before = (tmp_path / name).read_bytes()
    ran = draft("--curl", "curl https://api.example/orders/19", "--into", name)
    assert (ran.code, ran.out) == (1, "")
    assert "GET /orders/{orderId} is in the description already; nothing was changed" in ran.err
    assert (tmp_path / name).read_bytes() == before


def test_comments_of_people_are_not_lost(draft, tmp_path):
    text = draft("--curl", CURL).out + "# looked over by us\n"
    (tmp_path / "api.yaml").write_text(text, "utf-8")
    ran = draft("--curl", "curl https://api.example/x", "--into", "api.yaml")
    assert ran.code == 1
    assert "may hold comments" in ran.err
    assert (tmp_path / "api.yaml").read_text("utf-8") == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--curl", "curl --nope --none https://a.example"], ["--nope is not known", "--none is not known"]),
        (["--curl", "wget x"], ["no command of curl"]),
        (["--curl", "@none"], ["cannot read none"]),
        (["--curl", "curl a.example", "--id", "a b"], ["no name of an operation"]),
        (["--curl", "curl a.example", "--into", "none.yaml"], ["none.yaml: No such file"]),
        (["--curl", "curl -X PURGE a.example"], ["PURGE"]),
    ],
)
def test_what_cannot_be_drafted_is_said(draft, words, said):
    ran = draft(*words)
    assert (ran.code, ran.out) == (1, "")
    for text in said:
        assert text in ran.err


@pytest.mark.parametrize("more", [["--into", "x", "--title", "t"], ["--answer", "-"]])
def test_what_does_not_go_together_is_wrong_usage(draft, more):
    curl = "-" if "--answer" in more else "curl a.example"
    assert draft("--curl", curl, *more).code == 2


def test_what_our_own_reader_would_refuse_is_not_written(draft, tmp_path):
    text = "openapi: 3.1.0\npaths:\n  /a/{}: {}\n"
    (tmp_path / "api.yaml").write_text(text, "utf-8")
    ran = draft("--curl", "curl https://a.example/a/17", "--into", "api.yaml")
    assert ran.code == 1
    assert "the draft cannot be read: GET /a/{}" in ran.err
    assert (tmp_path / "api.yaml").read_text("utf-8") == text


@pytest.mark.parametrize("text", ["openapi: [", "[]", "a: b", "openapi: 3.0.3\npaths: {}\n"])
def test_what_is_no_description_takes_nothing(draft, tmp_path, text):
    (tmp_path / "api.yaml").write_text(text, "utf-8")
    assert draft("--curl", "curl a.example", "--into", "api.yaml").code == 1
    assert (tmp_path / "api.yaml").read_text("utf-8") == text
