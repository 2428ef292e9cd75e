"""The command as a whole: its help, its exit codes, its answers to what a person gets wrong."""

import re
import shlex

import pytest

from service.cli.app import NOUNS, VERBS, make_app
from tests.tables import every_row
from tests.unit.cli.terminal import Ran

COMMANDS = [
    *(verb.__name__ for verb in VERBS),
    *(f"{noun} {name}" for noun, _, commands in NOUNS for name in commands),
]
GROUPS = [noun for noun, _, _ in NOUNS]
_HELP: dict[str, Ran] = {}


@pytest.fixture
def help_of(pointsman):
    """Ask for the help of a command; it is the same each time, and is written once."""

    def ask(command):
        if command not in _HELP:
            _HELP[command] = pointsman(*command.split(), "--help")
        return _HELP[command]

    return ask


@every_row("command", [*COMMANDS, *GROUPS])
def test_every_command_has_help_with_a_sentence_and_an_example(help_of, command):
    ran = help_of(command)
    assert (ran.code, ran.err) == (0, "")
    head, _, example = ran.out.partition("Example:\n")
    assert re.search(r"^[A-Z][^\n]+", head.partition("\n\n")[2]), "no sentence"
    assert example.strip().startswith(f"pointsman {command.split()[0]}")
    assert max(map(len, ran.out.splitlines())) <= 82, "an example that is folded cannot be pasted"


@every_row("command", [*COMMANDS, *GROUPS])
def test_every_example_is_one_that_the_command_line_takes(help_of, command):
    example = help_of(command).out.partition("Example:\n")[2]
    words = shlex.split(example.partition(" > ")[0])
    assert words[0] == "pointsman"
    make_app().parse_args(words[1:], exit_on_error=False, print_error=False)


@every_row("command", COMMANDS)
def test_every_option_and_argument_says_what_it_is(help_of, command):
    panel = [line.strip("│ ") for line in help_of(command).out.splitlines() if line.startswith("│")]
    for line in panel:
        assert re.search(r"\s{2,}\S", line) or not line.startswith(("-", "*")), line


def test_help_lists_every_verb_and_where_to_begin(pointsman):
    ran = pointsman()
    assert ran.code == 0
    for word in (*(verb.__name__ for verb in VERBS), *GROUPS):
        assert re.search(rf"^│ {word} ", ran.out, re.MULTILINE), word
    assert "Start with: pointsman demo" in ran.out


def test_the_version_is_printed(pointsman):
    ran = pointsman("--version")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", ran.out)


@every_row(
    ("words", "meant"),
    [
        (["chek"], 'Did you mean "check"?'),
        (["mesages"], 'Did you mean "messages"?'),
        (["check", "--outptu", "json"], "Did you mean --output?"),
        (["deliveries", "retyr", "x"], None),
        (["messages", "-o", "xml"], '"table", "json", "jsonl", "yaml"'),
        (["messages", "--limit", "0"], "--limit"),
        (["messages", "--limit", "501"], "--limit"),
        (["messages", "--limit", "ten"], "--limit"),
        (["call"], "pointsman call --help"),
        (["call", "shop"], "connection.operation"),
        (["call", ".x"], "connection.operation"),
        (["connectors", "show", "shop."], "connector.operation"),
        (["match"], "--lines"),
        (["deliveries", "retry"], "ids"),
        (["deliveries", "discard"], "ids"),
        (["serve", "--port", "99999"], "--port"),
        (["serve", "--port", "http"], "--port"),
        (["demo", "--shop", ".", "--once"], "--shop"),
        (["messages", "--server", "localhost"], "http://"),
        (["signature", "sign", "github"], "--secret"),
    ],
)
def test_wrong_usage_is_said_with_what_is_right_and_ends_with_2(pointsman, words, meant):
    ran = pointsman(*words)
    assert ran.code == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert meant is None or meant in ran.err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POINTSMAN_PORT", "abc", "POINTSMAN_PORT: "),
        ("POINTSMAN_LOG_LEVEL", "loud", "POINTSMAN_LOG_LEVEL: "),
        ("POINTSMAN_TRUSTED_PROXIES", "10.0.0.0/8, nonsense", "POINTSMAN_TRUSTED_PROXIES: "),
    ],
)
def test_a_setting_that_cannot_be_is_named(pointsman, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    ran = pointsman("messages")
    assert ran.code == 2
    assert said in ran.err


@every_row("words", [["messages"], ["deliveries"], ["rejects"], ["tokens"], ["connections"]])
def test_without_an_instance_it_is_said_how_to_get_one_and_ends_with_3(pointsman, words):
    ran = pointsman(*words)
    assert ran.code == 3
    assert "no instance has run in pointsman-data; start one with `pointsman serve`" in ran.err


@every_row("style", ["-ojson", "--output=json", "-o json", "--output json"])
def test_problems_are_told_in_the_style_that_was_asked_for(pointsman, style):
    ran = pointsman("connectors", *style.split())
    assert ran.code == 1
    assert ran.out.startswith('{\n  "problems": [')


@every_row(
    ("words", "said"),
    [
        ("connectors raed a.yaml", 'Unknown command "connectors raed". Did you mean "read"?'),
        ("operations sohw shop.x", 'Unknown command "operations sohw". Did you mean "show"?'),
        ("tokens zzz", 'Unknown command "tokens zzz". There are: list, make, revoke.'),
        ("check a b", "too much was given: b"),
    ],
)
def test_a_misspelt_verb_is_told_with_what_was_meant(pointsman, words, said):
    ran = pointsman(*words.split())
    assert ran.code == 2
    assert said in ran.err


def test_the_configuration_is_named_alike_everywhere(help_of):
    for command in COMMANDS:
        if "--config" in help_of(command).out:
            assert "--config -c" in help_of(command).out, command
