"""Measures what API descriptions cost: the import of the largest ones, and the building of their requests.

Run as `python -m bench specs [--file PATH …] [--calls N]`. Without files: the ten largest documents of the
shared data, where that lies beside the project, the one of most files, and a made one. Each is read in a
process of its own, from its bytes on disk to operations that can be called. Memory is the most that this
process has had: the interpreter and our modules, about 25 MB, are in it.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench import serialising
from bench.figures import Row, Table
from bench.importing import Imported
from bench.whole import Wrong

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS: Final = ("openapi", "power-platform", "postman", "asyncapi")
LARGEST: Final = 10
MADE: Final = 5_000
"""Operations of the made description."""

MOST_SECONDS: Final = 3.0
MOST_MB: Final = 300.0
"""What no document may take; more is said, and does not make the run fail."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", dest="files", action="append", default=[], help="a description to measure")
    serialising.add_options(parser)


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure documents, then the building of requests."""
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        rows = [row(name, imported(path)) for name, path in documents(Path(folder), options.files).items()]
    yield Table("importing descriptions", rows)
    yield from serialising.figures(options)
    for one in rows:
        if one["CPU s"] > MOST_SECONDS or one["peak MB"] > MOST_MB:
            print(
                f"{one['document']}: more than {MOST_SECONDS:g} s of CPU or {MOST_MB:g} MB", file=sys.stderr
            )


def documents(folder: Path, names: list[str]) -> dict[str, Path]:
    """Return what is measured, by name; what is not a file yet is written below the folder."""
    if names:
        return {name: Path(name) for name in names}
    path = folder / "made.json"
    path.write_bytes(made(MADE))
    if not DATA.exists():
        print("the shared data are not beside this project: only a made one is measured", file=sys.stderr)
        return {"made": path}
    sizes: dict[tuple[str, str], int] = {}
    most = (0, "", "")
    for name in SETS:
        counted = json.loads((DATA / "expected" / f"{name}-dev.json").read_text("utf-8"))["documents"]
        sizes |= {(name, one["file"]): one["bytes"] for one in counted if one["parse"] != "broken"}
        with tarfile.open(DATA / f"{name}-dev.tar.xz") as tar:
            stream = tar.extractfile("MANIFEST.json")
            items = json.load(stream)["items"] if stream else []
        single = [one for one in items if len(one["roots"]) == 1]
        most = max([most, *((one["files"], name, one["roots"][0]) for one in single)])
    chosen = sorted(sizes, key=lambda one: -sizes[one])[:LARGEST]
    return _unpacked(folder, [*chosen, (most[1], most[2])]) | {"made": path}


def _unpacked(folder: Path, chosen: list[tuple[str, str]]) -> dict[str, Path]:
    for name in {name for name, _ in chosen}:
        with tarfile.open(DATA / f"{name}-dev.tar.xz") as tar:
            tar.extractall(folder / name, filter="data")
    return {_short(file): folder / name / file for name, file in chosen}


def _short(file: str) -> str:
    """Return the end of a path that tells most: its owner and its own name."""
    owner, _, rest = file.partition("+")
    return f"{owner}: {'/'.join(rest.split('/')[-2:])}"


def made(operations: int) -> bytes:
    """Return a document with as many operations, each with a body of its own schema."""
    paths = {
        f"/things{index}/{{id}}": {
            "post": {
                "operationId": f"op{index}",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "dryRun", "in": "query", "schema": {"type": "boolean"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/S{index}"}}},
                },
                "responses": {"200": {"description": "ok", "content": {"application/json": {}}}},
            }
        }
        for index in range(operations)
    }
    schemas = {f"S{index}": {"type": "object", "properties": {"n": {}}} for index in range(operations)}
    return msgspec.json.encode({"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}})


def imported(path: Path) -> Imported:
    """Read a description in a child process. Raise Wrong when that ends badly."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.importing", str(path)], stdout=subprocess.PIPE, check=False
    )
    if ran.returncode:
        raise Wrong(f"{path} was not read")
    return msgspec.json.decode(ran.stdout, type=Imported)


def row(name: str, found: Imported) -> Row:
    """Return the line of the table for one document."""
    return {
        "document": name,
        "format": found.dialect or "not readable",
        "bytes": found.bytes,
        "files": found.files,
        "operations": found.operations,
        "triggers": found.triggers,
        "import s": round(found.seconds, 2),
        "CPU s": round(found.cpu_seconds, 2),
        "peak MB": round(found.peak_mb),
        "over empty MB": round(found.peak_mb - found.before_mb),
    }


if __name__ == "__main__":
    from bench.__main__ import main

    main(["specs", *sys.argv[1:]])
