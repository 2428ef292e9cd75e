"""The words of a command line are those that a shell would hand over."""

import re
import shlex
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.drafting.words import MAX_LENGTH, split
from actions.errors import Refused
from tests.tables import every_row

BASH = shutil.which("bash")
WORDS = st.lists(
    st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=12), max_size=4
)
LINES = [
    "curl 'a b' \"c d\" e\\ f",
    "curl \"a\\\"b\\$c\\\\d\\n\" 'it'\\''s'",
    "curl $'a\\tb\\'c\\x41\\u00e4\\101\\n' -H\\\n  x",
    "curl \\\n  -d '{\"a\":\n1}' \\\n  u",
    "curl a''b \"\" '' c",
    "curl -d\"x\"'y'$'z'",
    "curl a#b # not read",
    "curl 'x' | jq .",
    "curl x && echo y",
    "curl x > file",
    'curl $"a b"',
    "curl $'\\e[0m\\?\\\"\\\\'",
]


def ansi(word):
    return "$'" + "".join(f"\\U{ord(sign):08x}" if sign in "\\'\n\x85" else sign for sign in word) + "'"


def double(word):
    return '"' + "".join(f"\\{sign}" if sign in '$`"\\' else sign for sign in word) + '"'


def cmd(word):
    """Quote a word as browsers do for cmd: a caret before everything, line breaks doubled."""
    inner = re.sub(r"(\\+)\Z", r"\1\1", re.sub(r'(\\*)"', r"\1\1\\" + '"', word))
    carets = "".join("^\n\n" if sign == "\n" else f"^{sign}" for sign in inner)
    return f'^"{carets}^"'


@settings(max_examples=100)
@given(WORDS, st.sampled_from([shlex.quote, ansi, double]), st.sampled_from([" ", " \\\n ", "\t"]))
def test_words_come_out_as_they_were_quoted_for_bash(words, quote, between):
    line = between.join(["curl", *map(quote, words)])
    if "^" not in line:  # else it may be cmd's
        assert split(line) == (["curl", *words], "")


@settings(max_examples=60)
@given(WORDS)
def test_words_come_out_as_they_were_quoted_for_cmd(words):
    assert split(" ^\n  ".join(["curl", *map(cmd, [*words, "end"])])) == (["curl", *words, "end"], "")


@settings(max_examples=200)
@given(st.text(alphabet="curl '\"\\$^`|;&#\n{}()<>xU0", max_size=24))
def test_any_text_is_read_or_refused(text):
    try:
        words, rest = split(text)
    except Refused as error:
        refusal = str(error)
    else:
        assert all(isinstance(one, str) for one in [*words, rest])
        return
    assert refusal


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize("line", LINES)
def test_bash_reads_the_same_words(line, tmp_path):
    script = f'exec 3>&1 1>/dev/null; curl() {{ printf "%s\\0" curl "$@" >&3; }}; {line}'
    run = subprocess.run(
        [BASH, "-c", script],
        capture_output=True,
        cwd=tmp_path,
        env={"LC_ALL": "C.UTF-8"},
        timeout=20,
        check=False,
    )
    assert run.stdout.decode().split("\0")[:-1] == split(line)[0]


def test_carets_inside_of_quotes_are_carets():
    assert split('curl "a^b" ^\n -d ^"c^"')[0] == ["curl", "a^b", "-d", "c"]
    assert split('curl ^\r\n  a\\b ^"c\\\\^"')[0] == ["curl", "a\\b", "c\\"]


def test_quotes_inside_of_quotes_stand_behind_a_backslash_on_windows():
    assert split(r'curl ^"{^\^"a^\^": 1}^" \\x ^"y\\^"')[0] == ["curl", '{"a": 1}', r"\\x", "y\\"]


def test_variables_stay_as_they_are():
    assert split('curl -H "Authorization: Bearer $TOKEN" ${URL}')[0] == [
        "curl", "-H", "Authorization: Bearer $TOKEN", "${URL}",
    ]  # fmt: skip


@every_row(
    ("text", "said"),
    [
        ("curl 'a", "not closed"),
        ('curl "a', "not closed"),
        ("curl $'a", "not closed"),
        ('curl ^"a', "not closed"),
        ("curl a\\", "backslash"),
        ("curl $(cat x)", "is not run"),
        ("curl `cat x`", "is not run"),
        ('curl "$(cat x)"', "is not run"),
        ("curl $'\\ud800'", "no character"),
        ("curl $'\\0'", "no character"),
        ("x" * (MAX_LENGTH + 1), "longer"),
    ],
)
def test_what_is_no_command_is_refused_without_repeating_it_whole(text, said):
    with pytest.raises(Refused, match=said) as caught:
        split(text)
    assert len(str(caught.value)) < 120
