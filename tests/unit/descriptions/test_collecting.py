"""Descriptions as they lie on disk: which units a path holds, and what is never opened."""

import json
import os
import shutil
import stat
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from actions.specs.files import NoFile
from service.descriptions import Bounds, Unit, collect
from service.descriptions.archives import Archive
from service.descriptions.folders import Folder
from tests.tables import every_row

API: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "t", "version": "1"},
    "paths": {"/a": {"get": {"responses": {}}}},
}
PARTS = "openapi: 3.0.3\npaths:\n  /a: {$ref: 'paths/a.yaml'}\n"
PATH_ITEM = "get:\n  parameters: [{$ref: ../common/p.yaml}]\n  responses: {}\n"
PARAMETER = "{name: q, in: query}\n"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def several(folder: Path) -> Path:
    return write(
        folder,
        {
            "v1/api.yaml": PARTS,
            "v1/paths/a.yaml": PATH_ITEM,
            "v1/common/p.yaml": PARAMETER,
            "v2.json": json.dumps(API),
            "notes.md": "openapi: 3.0.0",
            "package.json": '{"name": "x", "files": ["openapi"]}',
            "node_modules/x/openapi.json": json.dumps(API),
            ".git/config": "x",
            ".hidden/openapi.json": json.dumps(API),
            "connector/apiDefinition.swagger.json": '{"swagger": "2.0", "info": {}, "paths": {"/x": {"get": {"responses": {}}}}}',
            "connector/apiProperties.json": '{"properties": {"connectionParameters": {}}}',
            "c.postman_collection.json": '{"info": {"schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}, "item": []}',
            "broken.yaml": "openapi: 3.0.0\npaths: [\n",
        },
    )


def problem(units: list[Unit]) -> tuple[str, str]:
    (unit,) = units
    assert unit.problem is not None
    assert not unit.read().readable
    return unit.problem.code, unit.problem.message


def test_a_folder_holds_a_unit_for_every_description_in_it(tmp_path: Path) -> None:
    units = collect(several(tmp_path))
    found = {Path(unit.name).relative_to(tmp_path).as_posix(): unit for unit in units}
    assert list(found) == [
        "broken.yaml",
        "c.postman_collection.json",
        "v2.json",
        "connector/apiDefinition.swagger.json",
        "v1/api.yaml",
    ]
    read = {name: unit.read() for name, unit in found.items()}
    assert [one.path for one in read["v1/api.yaml"].operations.values()] == ["/a"]
    assert read["v1/api.yaml"].operations["get_a"].parameters[0].name == "q"
    assert found["connector/apiDefinition.swagger.json"].root == "apiDefinition.swagger.json"
    assert "apiProperties.json" in found["connector/apiDefinition.swagger.json"].files
    assert set(found["connector/apiDefinition.swagger.json"].files) == {
        "apiDefinition.swagger.json",
        "apiProperties.json",
    }
    assert [(one.file, one.line) for one in read["broken.yaml"].findings] == [("broken.yaml", 3)]


def test_a_file_is_one_unit_and_its_folder_is_where_references_lead(tmp_path: Path) -> None:
    several(tmp_path)
    (unit,) = collect(tmp_path / "v1" / "api.yaml")
    assert unit.root == "api.yaml"
    assert unit.read().operations["get_a"].status == "ok"
    assert list(unit.files) == ["api.yaml", "common/p.yaml", "paths/a.yaml"]
    (same,) = collect(tmp_path / "v1" / "api.yaml", within=tmp_path)
    assert (same.root, list(same.files)) == (
        "v1/api.yaml",
        ["v1/api.yaml", "v1/common/p.yaml", "v1/paths/a.yaml"],
    )
    assert same.read().operations["get_a"].status == "ok"
    assert collect(tmp_path / "v1" / "api.yaml", within=tmp_path / "connector")[0].root == "api.yaml"
    (other,) = collect(
        write(tmp_path, {"v1/sub/up.yaml": "openapi: 3.0.0\npaths: {/a: {$ref: ../paths/a.yaml}}"})
        / "v1/sub/up.yaml"
    )
    assert "leads out of the description's folder" in other.read().findings[0].message


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", "utf-16", "comment", "yaml flow"])
def test_descriptions_are_known_by_their_marks_in_any_dress(tmp_path: Path, data: Any) -> None:
    text = json.dumps(API)
    content = (
        {"utf-16": text.encode("utf-16"), "comment": b"// hello\n/* {a} */ " + text.encode()}.get(data)
        if isinstance(data, str)
        else data + text.encode()
    )
    content = content or b"{'openapi': '3.0.0', paths: {/a: {get: {responses: {}}}}}"
    (unit,) = collect(write(tmp_path, {"x.json": content}))
    assert len(unit.read().operations) == 1


@pytest.mark.parametrize(
    "text",
    [
        "openapi: 3.0.0\n",
        "# c\n\n---\n  info: {}\n  openapi: 3.0.0\n",
        "%YAML 1.2\n---\n'openapi' : 3.0.0\n",
        "\ufeffinfo: {}\r\nswagger: '2.0'\r\n",
        "asyncapi: [\n",
    ],
)
def test_yaml_is_known_by_its_outermost_keys(tmp_path: Path, text: str) -> None:
    assert collect(write(tmp_path, {"x.yaml": text}))[0].problem is None


def test_other_files_are_no_descriptions(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.json": '{"x": {"openapi": "3.0.0"}}',
            "b.yaml": "x:\n  openapi: 3.0.0\n",
            "c.json": "[1, 2]",
            "d.json": '{"collection": 5}',
        },
    )
    assert problem(collect(tmp_path)) == (
        "no-description",
        f"{tmp_path.name} holds no API description among 4 JSON and YAML files",
    )
    assert problem(collect(tmp_path / "nope.yaml")) == ("no-such-file", "nope.yaml is not there")
    assert problem(collect(tmp_path / "a.json" / "b.yaml"))[0] == "no-such-file"
    assert problem(collect(tmp_path / "nope" / "x"))[0] == "no-such-file"
    assert problem(collect(Path(os.devnull)))[1].endswith("is neither a regular file nor a folder")
    assert problem(collect(Path("a\0b")))[0] in {"unreadable-file", "no-such-file"}


def test_links_and_pipes_are_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"outside/secret.yaml": "{name: s, in: query}", "in/real.yaml": "a: 1"})
    inside = tmp_path / "in"
    (inside / "link.yaml").symlink_to(tmp_path / "outside" / "secret.yaml")
    (inside / "dir").symlink_to(tmp_path / "outside")
    (inside / "fine.yaml").symlink_to(inside / "real.yaml")
    (inside / "loop.yaml").symlink_to(inside / "loop.yaml")
    os.mkfifo(inside / "pipe.yaml")
    files = Folder(inside, Bounds(file_bytes=10))
    assert files["fine.yaml"] == b"a: 1"
    for name in ("link.yaml", "dir/secret.yaml", "../outside/secret.yaml"):
        with pytest.raises(NoFile, match="leads out of"):
            files[name]
        assert name not in files
    for name, words in (
        ("pipe.yaml", "not a regular file"),
        ("loop.yaml", "cannot be opened"),
        ("nope", "is not there"),
        ("real.yaml/x", "is not there"),
        ("a\0b", "cannot be opened"),
    ):
        with pytest.raises(NoFile, match=words):
            files[name]
    assert "real.yaml" in files
    write(inside, {"big.yaml": "x" * 11})
    with pytest.raises(NoFile, match="has 11 bytes, more than 10"):
        files["big.yaml"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.yaml": "openapi: 3.0.0"}) / "a.yaml"
    path.chmod(0)
    try:
        assert "cannot be opened" in problem(collect(path))[1]
    finally:
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_places_are_bounded(tmp_path: Path) -> None:
    write(
        tmp_path, {f"{number}.json": "{}" for number in range(30)} | {"a/b/c/openapi.json": json.dumps(API)}
    )
    assert problem(collect(tmp_path, Bounds(entries=20))) == (
        "too-large",
        f"{tmp_path.name} holds more than 20 files and folders",
    )
    assert problem(collect(tmp_path, Bounds(files=2)))[1].endswith(
        "holds more than 20 files that may be descriptions"
    )
    assert problem(collect(tmp_path, Bounds(depth=2)))[0] == "no-description"
    assert collect(tmp_path, Bounds(depth=3))[0].problem is None
    units = collect(tmp_path, Bounds(file_bytes=1))
    assert {unit.problem.code for unit in units if unit.problem} == {"unreadable-file"}
    (unit,) = collect(tmp_path / "a/b/c/openapi.json", Bounds(file_bytes=5))
    assert "more than 5" in unit.read().findings[0].message


def packed(folder: Path, **more: bytes) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
        for name, content in more.items():
            archive.writestr(name, content)
    return made.getvalue()


def test_a_zip_archive_is_read_as_a_folder_and_a_path_may_go_on_inside(tmp_path: Path) -> None:
    path = write(tmp_path, {"all.zip": packed(several(tmp_path / "x"))}) / "all.zip"
    units = collect(path)
    assert [unit.name.removeprefix(f"{path}/") for unit in units] == [
        "broken.yaml",
        "c.postman_collection.json",
        "connector/apiDefinition.swagger.json",
        "v1/api.yaml",
        "v2.json",
    ]
    assert units[3].read().operations["get_a"].parameters[0].name == "q"
    (unit,) = collect(path / "v1" / "api.yaml")
    assert unit.read().operations["get_a"].status == "ok"
    assert problem(collect(path / "v1" / "nope.yaml"))[0] == "no-such-file"


@pytest.mark.parametrize(
    "name", ["../evil.yaml", "/etc/evil.yaml", "a/../../evil.yaml", "..\\evil.yaml", "C:\\evil.yaml"]
)
def test_an_archive_whose_names_lead_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    content = packed(tmp_path, **{name: b"openapi: 3.0.0", "ok.yaml": b"openapi: 3.0.0"})
    code, message = problem(collect(write(tmp_path, {"x.zip": content}) / "x.zip"))
    assert code == "unreadable-file"
    assert "a name that leads out of it" in message


def test_an_archive_that_would_grow_without_measure_is_refused(tmp_path: Path) -> None:
    path = (
        write(tmp_path, {"x.zip": packed(tmp_path / "nothing", **{"a.json": b"{}" + b" " * 200_000})})
        / "x.zip"
    )
    assert problem(collect(path, Bounds(file_bytes=1_000, ratio=50)))[1].endswith("times its size")
    assert "would inflate to 200002 bytes" in problem(collect(path, Bounds(total_bytes=100_000)))[1]
    assert problem(collect(path, Bounds(total_bytes=10)))[1].endswith("has more than 10 bytes")
    assert problem(collect(path, Bounds(entries=0)))[1].endswith("holds more than 0 files")


def test_what_an_archive_says_of_its_sizes_is_not_believed(tmp_path: Path) -> None:
    content = packed(tmp_path / "nothing", **{"openapi.json": json.dumps(API).encode() + b" " * 100_000})
    lied = content.replace(
        (100_000 + len(json.dumps(API))).to_bytes(4, "little"), (100).to_bytes(4, "little")
    )
    assert lied != content
    units = collect(write(tmp_path, {"x.zip": lied}) / "x.zip", Bounds(file_bytes=50_000))
    assert all(unit.problem or not unit.read().readable or unit.read().operations for unit in units)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 100, b"PK\x05\x06" + b"\0" * 18])
def test_a_broken_or_empty_archive_says_so(tmp_path: Path, content: bytes) -> None:
    assert problem(collect(write(tmp_path, {"x.zip": content}) / "x.zip"))[0] in {
        "unreadable-file",
        "no-description",
    }


def test_a_cut_or_bent_archive_never_raises(tmp_path: Path) -> None:
    content = packed(several(tmp_path / "x"))
    for place in range(0, len(content), 97):
        for bent in (content[:place], content[:place] + b"\xff" + content[place + 1 :]):
            (tmp_path / "y.zip").write_bytes(bent)
            for unit in collect(tmp_path / "y.zip"):
                unit.read()


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not installed")


def repository(folder: Path) -> Path:
    git = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "init.defaultBranch=main",
    ]
    shutil.rmtree(folder / ".git")
    for arguments in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return folder / ".git"


@needs_git
def test_a_git_directory_is_read_at_its_head_without_running_anything_of_it(tmp_path: Path) -> None:
    path = repository(several(tmp_path / "x"))
    marker = tmp_path / "ran"
    for hook in (path / "hooks" / "post-checkout", path / "hooks" / "fsmonitor"):
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    with (path / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {path}/hooks/fsmonitor\n\tpager = touch {marker}\n")
    (tmp_path / "x" / "v2.json").write_text("changed, but not committed")
    units = {unit.name.removeprefix(f"{path}/"): unit for unit in collect(path)}
    assert set(units) == {
        "broken.yaml",
        "c.postman_collection.json",
        "connector/apiDefinition.swagger.json",
        "v1/api.yaml",
        "v2.json",
    }
    assert units["v1/api.yaml"].read().operations["get_a"].parameters[0].name == "q"
    assert units["v2.json"].read().readable
    (unit,) = collect(path / "v2.json")
    assert unit.read().readable
    with pytest.raises(NoFile):
        unit.files["nope.json"]
    assert not marker.exists()


@needs_git
def test_a_git_directory_without_a_commit_says_so(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "x.git")], check=True, capture_output=True)
    assert "cannot be read with git" in problem(collect(tmp_path / "x.git"))[1]


def test_a_git_directory_needs_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"HEAD": "ref: x", "objects/x": "", "refs/x": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the program git must be installed" in problem(collect(tmp_path))[1]


@needs_git
def test_a_repository_that_is_not_whole_says_what_is_missing(tmp_path: Path) -> None:
    path = repository(several(tmp_path / "x"))
    for loose in [one for one in (path / "objects").glob("??/*") if len(one.parent.name) == 2]:
        kind = subprocess.run(
            ["git", f"--git-dir={path}", "cat-file", "-t", loose.parent.name + loose.name],
            capture_output=True,
            check=False,
        ).stdout
        if kind == b"blob\n":
            loose.unlink()
    units = collect(path)
    assert {unit.problem.message for unit in units if unit.problem and "v2.json" in unit.name} == {
        "v2.json is not in the repository, which is not whole"
    }


@needs_git
def test_a_repository_is_bounded(tmp_path: Path) -> None:
    path = repository(several(tmp_path / "x"))
    assert problem(collect(path, Bounds(entries=3)))[1].endswith("holds more than 3 files")
    units = collect(path, Bounds(file_bytes=10))
    assert all(unit.problem and "more than 10" in unit.problem.message for unit in units)
    assert problem(collect(path / "nope.json"))[0] == "no-such-file"


def test_entries_of_an_archive_that_cannot_be_had_say_why(tmp_path: Path) -> None:
    content = packed(
        tmp_path / "nothing",
        **{"openapi.json": json.dumps(API).encode(), "b.json": b"{}", ".hidden.json": b"{}"},
    )
    place = content.index(b"openapi.json") + len("openapi.json")
    bent = (
        content[:place] + bytes(byte ^ 0xFF for byte in content[place : place + 20]) + content[place + 20 :]
    )
    (unit,) = [one for one in collect(write(tmp_path, {"x.zip": bent}) / "x.zip") if "openapi" in one.name]
    assert unit.problem is not None
    assert "cannot be taken out of the archive" in unit.problem.message
    (unit,) = collect(write(tmp_path, {"y.zip": content}) / "y.zip")
    assert set(unit.files) == {"openapi.json", "b.json"}
    assert len(unit.files) == 2
    assert "b.json" in unit.files
    with pytest.raises(NoFile):
        unit.files["nope"]


def test_an_archive_gives_only_so_many_bytes_in_all(tmp_path: Path) -> None:
    content = packed(tmp_path / "nothing", **{f"{name}.json": b"x" * 60 for name in "ab"})
    archive = Archive(BytesIO(content), Bounds(total_bytes=120))
    assert archive["a.json"] == b"x" * 60
    assert archive["b.json"] == b"x" * 60
    with pytest.raises(NoFile, match="makes all files together larger"):
        archive["a.json"]


def test_the_files_below_a_folder_are_found_by_their_path_from_it(tmp_path: Path) -> None:
    units = collect(several(tmp_path))
    (below,) = [unit.files for unit in units if unit.root == "apiDefinition.swagger.json"]
    assert len(below) == 2
    assert "apiProperties.json" in below
    assert "v2.json" not in below
    assert 5 not in below
    assert json.loads(below["apiProperties.json"])


@pytest.mark.parametrize(
    ("path", "said", "fix"),
    [
        ("shop.yml", "shop.yml is not there", "did you mean {place}/shop.yaml?"),
        ("spec/shop.yaml", "shop.yaml is not there", "did you mean {place}/specs?"),
        ("zzz", "zzz is not there", ""),
        ("shop.yaml/x", "x is not there: a file has nothing in it", ""),
        ("a.zip/shop.yml", "shop.yml is not there: there is no shop.yml in it", "did you mean shop.yaml?"),
    ],
)
def test_what_is_not_there_is_told_with_what_may_have_been_meant(tmp_path, path, said, fix):
    write(tmp_path, {"shop.yaml": json.dumps(API), "specs/x.yaml": json.dumps(API)})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("shop.yaml", json.dumps(API))
    (unit,) = collect(tmp_path / path)
    assert unit.problem is not None
    assert (unit.problem.message, unit.problem.fix) == (said, fix.format(place=tmp_path))


@every_row(
    ("url", "fix"),
    [
        ("https://api.example.com/openapi.json", "`pointsman connectors add NAME URL` fetches it"),
        ("ftp://api.example.com/openapi.json", "only http and https are fetched"),
    ],
)
def test_a_url_in_the_place_of_a_path_is_told_as_one(url, fix):
    (unit,) = collect(Path(url))
    assert unit.problem is not None
    assert unit.problem.message == "openapi.json is named by a URL; files are read here"
    assert unit.problem.fix == fix


def test_bytes_that_are_no_text_are_told_as_binary(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \x00\x01\xff\xfe: [")
    (unit,) = collect(tmp_path / "a.yaml")
    (found,) = unit.read().findings
    assert (found.code, found.message, found.column) == (
        "unreadable",
        "this is binary, not JSON or YAML",
        6,
    )
