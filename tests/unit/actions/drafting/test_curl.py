"""What options of curl ask for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.drafting.curl import FORM, Part, read_curl
from actions.errors import Refused
from tests.tables import every_row

URL = "https://a.example/x"


def asked(options, url=URL):
    return read_curl(f"curl {options} {url}")


@every_row(
    ("options", "method"),
    [
        ("", "GET"), ("-X PUT", "PUT"), ("-XDELETE", "DELETE"), ("--request patch", "PATCH"), ("-I", "HEAD"),
        ("-d a=1", "POST"), ("-F a=1", "POST"), ("--json {}", "POST"), ("-T f", "PUT"), ("-G -d a=1", "GET"),
        ("-d @f", "POST"), ("-X GET -d a=1", "GET"), ("-sSfLX POST", "POST"),
    ],
)  # fmt: skip
def test_the_method_is_the_one_that_curl_would_use(options, method):
    assert asked(options).method == method


@every_row(
    ("options", "type_", "body"),
    [
        ("-d a=1 -d b=2", FORM, "a=1&b=2"),
        ("--data-raw @a", FORM, "@a"),
        ("--data-urlencode 'a=b c&d'", FORM, "a=b+c%26d"),
        ("--data-urlencode '=b c'", FORM, "b+c"),
        ("--data-urlencode 'b c'", FORM, "b+c"),
        ("--data-urlencode b@f -d c=1", FORM, "b=&c=1"),
        ("--json '{\"a\":' --json ' 1}'", "application/json", '{"a": 1}'),
        ("-d '{\"a\": 1}'", "application/json", '{"a": 1}'),
        ("-d '{a'", FORM, "{a"),
        ("-H 'content-type: text/csv' --data-binary 'a,b'", "text/csv", "a,b"),
        ("-d @f", FORM, None),
        ("-T f", "application/octet-stream", None),
        ("-G -d a=1", "", None),
    ],
)
def test_a_body_has_the_type_that_is_said_or_meant(options, type_, body):
    made = asked(options)
    assert (made.type, made.body) == (type_, body)


def test_fields_go_to_the_query_where_that_is_asked_for():
    assert (
        asked("-G -d a=1 --data-urlencode 'b=c d' --url-query e=f", f"'{URL}?q=0#x'").query
        == "q=0&e=f&a=1&b=c+d"
    )


def test_parts_know_files_and_types():
    made = asked(
        "-F a=1 -F 'f=@x.png;type=image/png;filename=y' -F 'g=<t' -F 'j={\"a\":1};type=application/json' --form-string 's=@x;type=a'"
    )
    assert made.parts == (
        Part(name="a", value="1"),
        Part(name="f", type="image/png", file=True),
        Part(name="g"),
        Part(name="j", value='{"a":1}', type="application/json"),
        Part(name="s", value="@x;type=a"),
    )
    assert made.type == "multipart/form-data"


def test_headers_are_those_that_are_sent():
    made = asked(
        "-H 'A: 1' -H 'B;' -H 'Accept:' -H ':authority: x' -A me -e 'https://r.example;auto' -b 'c=d' -H @f"
    )
    assert made.headers == (
        ("A", "1"),
        ("B", ""),
        ("User-Agent", "me"),
        ("Referer", "https://r.example"),
        ("Cookie", "c=d"),
    )
    assert any("in the file f" in note for note in made.notes)


@every_row(
    ("options", "login"),
    [("-u a:b", "basic"), ("-ua:b", "basic"), ("--digest -u a:b", "digest"), ("-u a:b --digest", "digest"), ("--oauth2-bearer t", "bearer"), ("", "")],
)  # fmt: skip
def test_a_login_of_the_command_is_named(options, login):
    assert asked(options).login == login
    assert asked("", "https://me:pw@a.example/").login == "basic"


@every_row(
    ("url", "origin", "path"),
    [
        ("a.example", "http://a.example", "/"),
        ("https://a.example/b/../c/./d/..", "https://a.example", "/c/"),
        ("https://a.example/..", "https://a.example", "/"),
        ("localhost:8080/a", "http://localhost:8080", "/a"),
        ("https://me:p@a.example:8443/b/?c#d", "https://a.example:8443", "/b/"),
        ("'http://[::1]:80/a'", "http://[::1]:80", "/a"),
        ("--url https://a.example/b", "https://a.example", "/b"),
    ],
)
def test_a_url_is_taken_apart(url, origin, path):
    made = asked("-s", url)
    assert (made.origin, made.path) == (origin, path)


def test_a_certificate_is_the_connections_business():
    assert asked("-E me.pem --key me.key").notes == (
        "the certificate of the client is not described: say it as `tls` of the connection",
    )


def test_what_says_how_to_send_changes_nothing():
    options = "-k -L -s --compressed -v --http2 -o out -w '%{http_code}' -m 5 --retry 3 -x http://proxy:1 --cacert ca -#"
    assert asked(options) == asked("")


def test_prompts_variables_and_programs_with_a_path_are_read():
    for line in (
        f"$ curl {URL}",
        f"A=1 curl {URL}",
        f"/usr/bin/curl {URL}",
        f"curl.exe {URL}",
        f"  curl {URL}  # x",
    ):
        assert read_curl(line) == asked("")


def test_only_the_first_command_is_read_and_that_is_told():
    made = read_curl(f"curl {URL} | jq .x\necho")
    assert made.notes == ("only the first command is read, not what comes from '| jq .x\\necho' on",)


@every_row(
    ("line", "said"),
    [
        (f"curl --nope -9 {URL}", ["--nope is not known", "-9 is not known"]),
        ("curl", ["it has no URL"]),
        ("curl a.example b.example", ["2 URLs"]),
        ("curl ftp://a.example/", ["ftp:// is not HTTP"]),
        ("curl 'https://a b.example/'", ["space"]),
        ("curl 'https://a.example:99999/'", ["port"]),
        ("curl 'https://[::1/'", ["cannot be read"]),
        ("curl $URL/x", ["variable"]),
        (f"curl {URL} -d", ["--data has no value"]),
        (f"curl -K f {URL}", ["a file of options is not read"]),
        (f"curl --aws-sigv4 x --ntlm -u a:b {URL}", ["AWS", "NTLM"]),
        (f"curl {URL} --next {URL}", ["one request"]),
        (f"curl -H 'a b: c' -X 'G T' -d a -F b=c -F d {URL}", ["header name", "no method", "cannot go together", "no name=content"]),
        (f"wget {URL}", ["no command of curl: it begins with 'wget'"]),
        ("", ["begins with nothing"]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_said_at_once(line, said):
    with pytest.raises(Refused) as caught:
        read_curl(line)
    for text in said:
        assert text in str(caught.value)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            [
                "-d",
                "-F",
                "-H",
                "-u",
                "-X",
                "-G",
                "-b",
                "-T",
                "--json",
                "-k",
                "-sS",
                "--url",
                "a=b",
                "a: b",
                "@f",
                "x",
                URL,
                "{}",
                "-",
                "--",
                "-XPUT",
            ]
        ),
        max_size=8,
    )
)
def test_any_words_are_a_request_or_refused(words):  # fmt: skip
    try:
        made = read_curl(" ".join(["curl", *(f"'{one}'" for one in words)]))
    except Refused as error:
        refusal = str(error)
    else:
        assert made.method.isupper()
        assert made.path.startswith("/")
        return
    assert refusal
