"""The house rules that tools check: layers, locked requirements, crash points, what may not be committed."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.crashpoints import POINTS
from tests.patience import PATIENCE
from tests.shared import ROOT

PACKAGES = ("service", "triggers", "actions")


def layers(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, made / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", made)
    return made


@pytest.mark.parametrize(
    ("path", "text", "contract"),
    [
        ("service/helpers.py", '"""A module that nobody placed."""\n', "service is layered"),
        ("service/rules/late.py", '"""x"""\nimport service.usecases.desk\n', "service is layered"),
        ("triggers/late.py", '"""x"""\nimport actions.base\n', "service composes triggers and actions"),
        ("triggers/early.py", '"""x"""\nimport triggers.webhook\n', "adapters know no other adapter"),
        (
            "actions/specs/early.py",
            '"""x"""\nimport actions.specs.openapi\n',
            "spec readers know no other reader",
        ),
        ("service/usecases/early.py", '"""x"""\nimport service.store.sqlite\n', "only app picks"),
        ("service/usecases/direct.py", '"""x"""\nimport sqlite3\n', "each driver has one home"),
        ("service/rules/waits.py", '"""x"""\nimport asyncio\n', "pure modules do no I/O"),
    ],
)
def test_a_misplaced_module_breaks_its_contract(tree, path, text, contract) -> None:
    (tree / path).write_text(text)
    try:
        result = layers(tree)
    finally:
        (tree / path).unlink()
    assert result.returncode != 0
    broken = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), result.stdout[-2000:]


def test_the_tree_as_it_is_keeps_every_contract(tree) -> None:
    assert layers(tree).returncode == 0


@pytest.mark.parametrize("name", ["runtime", "dev", "setup"])
def test_requirements_are_pinned_with_hashes_and_name_no_index(name) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    entries = [part for part in re.split(r"\n(?=\S)", text) if part.strip() and not part.startswith("#")]
    assert entries
    for entry in entries:
        assert "==" in entry, entry
        assert "--hash=sha256:" in entry, entry


def test_what_pyproject_asks_for_at_run_time_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = (ROOT / "requirements" / "runtime.txt").read_text().lower().replace("_", "-")
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-")
        assert f"\n{name}==" in "\n" + locked


def test_every_crash_point_stands_in_the_code_and_nowhere_unlisted() -> None:
    assert len(POINTS) >= 25
    assert len(set(POINTS)) == len(POINTS)
    code = "".join(
        path.read_text()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "crashpoints.py"
    )
    for point in POINTS:
        assert f'"{point}"' in code, f"{point} is never reached"
    called = set(re.findall(r'reached\("([a-z_.]+)"\)', code))
    assert called <= set(POINTS)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_nothing_committed_names_a_registry_host_or_a_path_of_a_machine() -> None:
    hosts = r"py[p]i\.org|python[h]osted\.|np[m]js\.|crate[s]\.io|mave[n]\.(org|apache)|de[b]\.debia[n]\.org"
    forbidden = re.compile(rf"{hosts}|/wor[k]/|/roo[t]/\.pyenv")
    for path in tracked():
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not forbidden.search(text), f"{path.relative_to(ROOT)}: {forbidden.search(text)}"


def test_mocks_and_unwritten_code_are_nowhere() -> None:
    for path in tracked():
        if path.suffix == ".py" and path.is_file() and path != Path(__file__):
            text = path.read_text("utf-8")
            assert not re.search(r"^\s*(from|import) unittest\.mock|\bMagicMock\(", text, re.MULTILINE), path
            assert not re.search(r"#.*\b(TODO|FIXME|XXX)\b", text), path


def test_no_source_file_is_longer_than_a_subject() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {count}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 450
    ]
    assert not long, long
