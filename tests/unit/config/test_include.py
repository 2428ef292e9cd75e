from pathlib import Path

from service.config.include import load_files

RULE = "rules:\n  {}: {{do: [{{call: shop.a}}]}}\n"


def codes(loaded):
    return [problem.code for problem in loaded.problems]


def test_files_are_put_together_and_every_place_names_its_file(write):
    write("rules/a.yaml", RULE.format("a"))
    write("rules/b.json", '{"rules": {"b": {"do": []}}}')
    write("rules/.hidden.yaml", "broken: [")
    main = write("main.yaml", "include: [rules/*.yaml, rules/*.json]\nrules:\n  main: {do: []}\nversion: 1\n")
    loaded = load_files(main)
    assert loaded.problems == []
    assert not loaded.broken
    assert loaded.document == {
        "version": 1,
        "rules": {"main": {"do": []}, "a": {"do": [{"call": "shop.a"}]}, "b": {"do": []}},
    }
    assert loaded.marks.locate("/rules/a/do/0/call", 2) == ("rules/a.yaml", 2, 21)
    assert loaded.marks.locate("/rules/b/do") == ("rules/b.json", 1, 24)
    assert loaded.marks.key("/rules/main") == ("main.yaml", 3, 3)
    assert loaded.marks.key("/rules") == ("main.yaml", 2, 1)
    assert [file.name for file in loaded.files] == ["main.yaml", "a.yaml", "b.json"]


def test_included_files_include_relative_to_themselves(write):
    write("team/rules/x.yaml", RULE.format("x"))
    write("team/main.yaml", "include: rules/x.yaml\n")
    loaded = load_files(write("main.yaml", "include: [team/main.yaml]\n"))
    assert loaded.problems == []
    assert list(loaded.document["rules"]) == ["x"]
    assert loaded.marks.key("/rules/x").file == "team/rules/x.yaml"


def test_a_name_defined_twice_is_an_error_that_names_both_places(write):
    write("a.yaml", RULE.format("one"))
    write("b.yaml", RULE.format("one"))
    loaded = load_files(write("main.yaml", "include: [a.yaml, b.yaml]\nversion: 1\n"))
    (problem,) = loaded.problems
    assert (problem.code, problem.file, problem.line, problem.column) == ("defined-twice", "b.yaml", 2, 3)
    assert "a.yaml:2" in problem.message


def test_what_may_stand_once_stands_in_one_file(write):
    write("a.yaml", "version: 1\n")
    (problem,) = load_files(write("main.yaml", "include: [a.yaml]\nversion: 1\n")).problems
    assert (problem.code, problem.file) == ("defined-twice", "a.yaml")
    assert "main.yaml:2" in problem.message


def test_a_file_that_two_patterns_match_is_read_once(write):
    write("a.yaml", RULE.format("one"))
    loaded = load_files(write("main.yaml", "include: [a.yaml, '[a-b].yaml']\n"))
    assert loaded.problems == []
    assert len(loaded.files) == 2


def test_two_stars_are_the_folder_and_all_below_it(write):
    write("rules/a.yaml", RULE.format("a"))
    write("rules/below/b.yaml", RULE.format("b"))
    write("rules/.hidden/c.yaml", RULE.format("c"))
    for pattern in ("rules/**", "rules/**/*.yaml"):
        loaded = load_files(write("main.yaml", f"include: ['{pattern}']\n"))
        assert loaded.problems == []
        assert list(loaded.document["rules"]) == ["a", "b"]


def test_cycles_are_refused(write):
    write("b.yaml", "include: [main.yaml]\n")
    main = write("main.yaml", "include: [b.yaml]\n")
    (problem,) = load_files(main).problems
    assert (problem.code, problem.file, problem.line, problem.column) == ("include-cycle", "b.yaml", 1, 11)
    assert codes(load_files(write("self.yaml", "include: self.yaml\n"))) == ["include-cycle"]


def test_nothing_outside_the_folder_is_included(write, folder):
    write("secret.yaml", RULE.format("x"))
    write("sub/in.yaml", "{}")
    (folder / "sub/link.yaml").symlink_to(folder / "secret.yaml")
    (folder / "sub/fine.yaml").symlink_to("in.yaml")
    text = f"include: [../secret.yaml, {folder}/secret.yaml, 'x/../../*.yaml', link.yaml, fine.yaml]\n"
    loaded = load_files(write("sub/main.yaml", text))
    assert codes(loaded) == ["include-outside"] * 4
    assert "rules" not in loaded.document


def test_missing_files_are_named_with_what_was_meant(write):
    write("rules/orders.yaml", RULE.format("x"))
    text = "include: [rules/order.yaml, none/*.yaml, 5, '', rules]\n"
    loaded = load_files(write("main.yaml", text))
    assert codes(loaded) == [
        "include-missing",
        "include-empty",
        "bad-include",
        "bad-include",
        "include-missing",
    ]
    assert loaded.problems[0].fix == "did you mean `rules/orders.yaml`?"
    assert loaded.problems[1].severity == "warning"


def test_patterns_that_are_none_and_includes_of_other_shapes_are_refused(write):
    assert codes(load_files(write("main.yaml", "include: ['***', '*a/**b']\n"))) == ["bad-include"] * 2
    assert codes(load_files(write("main.yaml", "include: {a: b}\n"))) == ["bad-include"]
    assert codes(load_files(write("main.yaml", "include: 5\n"))) == ["bad-include"]
    assert codes(load_files(write("main.yaml", "include:\nrules:\n"))) == []


def test_too_many_files_are_refused(write, monkeypatch):
    monkeypatch.setattr("service.config.include.MAX_FILES", 3)
    for number in range(5):
        write(f"r/{number}.yaml", "{}")
    assert "too-many-files" in codes(load_files(write("main.yaml", "include: r/*.yaml\n")))


def test_a_broken_file_does_not_hide_the_problems_of_the_others(write):
    write("a.yaml", "a: b: c\n")
    write("b.yaml", "- x\n")
    write("c.yaml", "")
    write("d.yaml", RULE.format("d"))
    loaded = load_files(write("main.yaml", "include: [a.yaml, b.yaml, c.yaml, d.yaml]\n"))
    assert codes(loaded) == ["yaml-syntax", "not-a-mapping"]
    assert loaded.broken
    assert list(loaded.document["rules"]) == ["d"]


def test_a_main_file_that_says_nothing_is_refused(write):
    for text in ("", "# only this\n", "---\n", "null\n", "text\n", "[a]\n", "5\n"):
        loaded = load_files(write("main.yaml", text))
        assert codes(loaded)[0] in ("empty", "not-a-mapping")
        assert loaded.document == {}


def test_sections_must_be_mappings(write):
    loaded = load_files(write("main.yaml", "rules: [a]\nsources: 5\nconnections:\n"))
    assert [(one.code, one.line, one.column) for one in loaded.problems] == [
        ("not-a-mapping", 1, 8),
        ("not-a-mapping", 2, 10),
    ]


def test_a_missing_main_file_is_a_problem():
    loaded = load_files(Path("/nowhere/pointsman.yaml"))
    assert codes(loaded) == ["unreadable"]
    assert loaded.marks.locate("/rules/x") == ("/nowhere/pointsman.yaml", 1, 1)


def test_names_that_no_file_can_have_are_problems(write, folder):
    (folder / "loop.yaml").symlink_to("loop.yaml")
    text = f"include: [{'x' * 300}.yaml, '{'x' * 300}*.yaml', loop.yaml, 'nul\\0.yaml', '*/{'y' * 300}/*', \"a\\0b\"]\n"
    loaded = load_files(write("main.yaml", text))
    assert set(codes(loaded)) == {"include-missing", "include-empty", "include-outside"}


def test_a_main_file_that_links_to_itself_is_a_problem(folder):
    (folder / "loop.yaml").symlink_to("loop.yaml")
    assert codes(load_files(Path("loop.yaml"))) == ["unreadable"]


def test_an_included_file_may_say_nothing_yet(write):
    write("a.yaml", "null\n")
    assert codes(load_files(write("main.yaml", "include: [a.yaml]\n"))) == []
