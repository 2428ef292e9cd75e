"""Verbs that add to a configuration, offline: connectors add, connectors fetch, connections add."""

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from service.cli.calling import Config
from service.cli.output import Output, emit, emit_problems, line, rows, say
from service.cli.place import reading, settings
from service.errors import Invalid, Problem

if TYPE_CHECKING:
    from actions.egress import Egress
    from actions.specs.model import Spec

Allow = Annotated[
    tuple[str, ...],
    Parameter(
        help="What may be called beside the open internet: an address, a network, a host; with its port."
    ),
]
Pairs = tuple[str, ...]
_ENTRIES = "an id, 'METHOD /path' or tag:NAME, in which * stands for any text."


def add_connector(
    name: Annotated[str, Parameter(help="What the connector is to be called.")],
    description: Annotated[
        str, Parameter(help="The path of its description (a file, folder, zip or git directory), or a URL.")
    ],
    *,
    include: Annotated[Pairs, Parameter(help="Only these operations: " + _ENTRIES)] = (),
    exclude: Annotated[Pairs, Parameter(help="Not these operations, said in the same way.")] = (),
    allow: Allow = (),
    config: Config = None,
    output: Output = "table",
) -> None:
    """Add a connector to the configuration file, and say what its description holds.

    The description is read and checked first; one from a URL is fetched and pinned by its hash. Comments and
    layout of the file stay. Nothing is changed when anything is wrong. Which operations are wanted stands in
    the file and holds for later versions of the description, too.

    Example: pointsman connectors add shop specs/shop.openapi.yaml
    """
    from service.config.connectors import OperationsConfig
    from service.filtering import Filter
    from service.usecases import adding
    from service.usecases.overview import overview

    place = _config(config)
    if description.startswith(("http://", "https://")):
        spec, value = _fetched(name, description, place, allow)
    else:
        from service.usecases.diffing import one_unit

        spec = one_unit(Path(description), reading()).read()
        value = {"spec": adding.path_from(place, Path(description))}
    chosen = {key: list(part) for key, part in (("include", include), ("exclude", exclude)) if part}
    if chosen:
        value["operations"] = chosen
    warnings = asyncio.run(adding.add(place, "connectors", name, value, env=os.environ, bounds=reading()))
    emit_problems(warnings, "table")
    if chosen:
        spec = Filter(OperationsConfig.model_validate(chosen)).of(spec)
    if output != "table":
        emit({"name": name, **value, **overview(spec)}, output)
        return
    line(f"connector {name} is in {place}", style="bold")
    show_overview(overview(spec))
    _advise(name, spec)


def _fetched(name: str, url: str, place: Path, allow: Sequence[str]) -> "tuple[Spec, dict[str, Any]]":
    """Fetch a description and keep it beside the configuration file."""
    from service.descriptions import kept_copy, read_pinned
    from service.usecases import fetching

    bounds = reading()
    fetched = asyncio.run(fetching.fetch_description(url, egress=_egress(allow), bounds=bounds))
    fetching.keep(name, fetched, None, Path(os.path.realpath(place)).parent, bounds)
    spec = read_pinned(url, kept_copy(url, fetched.data, bounds), bounds)
    return spec, {"spec": url, "sha256": fetched.sha256}


def _egress(allow: Sequence[str]) -> "Egress | None":
    from actions.egress import read_egress
    from actions.errors import Refused

    if not allow:
        return None
    try:
        return read_egress(("public", *allow))
    except Refused as error:
        raise Invalid([Problem(message=str(error), code="usage")]) from error


def _advise(name: str, spec: "Spec") -> None:
    from service.usecases.overview import wanted

    words = " ".join((f"pointsman connections add {name} --connector {name}", *wanted(spec)))
    say(f"next: {words}")


def show_overview(shown: Mapping[str, Any]) -> None:
    """Print what a description holds, for people."""
    counts = {name: count for name, count in shown["operations"].items() if count}
    parts = [f"{counts.pop('all', 0)} operations"]
    parts += [f"{count} {name.replace('_', ' ')}" for name, count in counts.items()]
    parts += [f"{len(shown['triggers'])} triggers"] if shown["triggers"] else []
    parts += [f"{count} {one}" for one, count in shown["findings"].items()]
    line(f"{shown['title']} {shown['version']} ({shown['format']}): {', '.join(parts)}")
    for title in ("servers", "logins", "parameters", "triggers"):
        if shown[title]:
            line(f"{title}:", style="bold")
            used = [name for name in shown[title][0] if any(one[name] for one in shown[title])]
            rows(shown[title], used, indent="  ")


def fetch_connector(
    connector: Annotated[str, Parameter(help="A connector whose description is a URL.")],
    *,
    allow: Allow = (),
    config: Config = None,
    output: Output = "table",
) -> int:
    """Fetch the description of a connector from its URL, and keep it beside the configuration file.

    It is used when the configuration says its hash (`sha256`), and not before. Exit code 0: it is what the
    configuration says; 1: the configuration says another hash, or none.

    Example: pointsman connectors fetch shop
    """
    from service.config.check import load_configuration
    from service.usecases.fetching import fetch_connector as fetch

    checked = load_configuration(_config(config), resolve=False, env=os.environ)
    fetched = asyncio.run(fetch(checked, connector, egress=_egress(allow), bounds=reading()))
    same = fetched.pinned == fetched.sha256
    shown = {
        "name": fetched.name,
        "url": fetched.url,
        "sha256": fetched.sha256,
        "pinned": fetched.pinned or "",
        "path": str(fetched.path),
        "title": fetched.title,
        "version": fetched.version,
        "operations": fetched.operations,
    }
    emit(shown, output)
    if not same:
        if fetched.pinned:
            say(f"what it changes: pointsman connectors diff {connector} {shlex.quote(str(fetched.path))}")
        say(f"to use it, write this into the connector {connector}: sha256: {fetched.sha256}")
    return 0 if same else 1


def add_connection(
    name: Annotated[str, Parameter(help="What the connection is to be called.")],
    *,
    connector: Annotated[str, Parameter(help="The connector that it is a connection to.")],
    server: Annotated[str | None, Parameter(help="Its base URL; absent: the description's.")] = None,
    variable: Annotated[Pairs, Parameter(help="NAME=VALUE: a variable of the server's URL.")] = (),
    bearer_env: Annotated[str | None, Parameter(help="Log in by the token in this variable.")] = None,
    api_key_env: Annotated[str | None, Parameter(help="Log in by the API key in this variable.")] = None,
    basic: Annotated[
        str | None, Parameter(help="USER:VARIABLE: log in as this user, by the password in the variable.")
    ] = None,
    client: Annotated[
        str | None, Parameter(help="ID:VARIABLE: log in by OAuth 2, by the client secret in the variable.")
    ] = None,
    parameter: Annotated[Pairs, Parameter(help="NAME=VALUE: a connection parameter.")] = (),
    parameter_env: Annotated[
        Pairs, Parameter(help="NAME=VARIABLE: a connection parameter whose value is in a variable.")
    ] = (),
    egress: Annotated[
        Pairs, Parameter(help="What may be called: public, addresses, networks, hosts; absent: public.")
    ] = (),
    config: Config = None,
    output: Output = "table",
) -> None:
    """Add a connection to the configuration file. Secrets are named by variables, never written.

    Comments and layout of the file stay. Nothing is changed when anything is wrong.

    Example: pointsman connections add shop --connector shop --bearer-env SHOP_TOKEN
    """
    from service.usecases.adding import add

    place = _config(config)
    logins = {"--bearer-env": bearer_env, "--api-key-env": api_key_env, "--basic": basic, "--client": client}
    parameters: dict[str, Any] = {
        **_pairs("--parameter", parameter),
        **{key: {"env": value} for key, value in _pairs("--parameter-env", parameter_env).items()},
    }
    parts = {
        "server": server,
        "variables": _pairs("--variable", variable),
        "auth": _login(logins),
        "parameters": parameters,
        "egress": list(egress),
    }
    value = {"connector": connector, **{key: part for key, part in parts.items() if part}}
    warnings = asyncio.run(add(place, "connections", name, value, env=os.environ, bounds=reading()))
    emit_problems(warnings, "table")
    if output == "table":
        line(f"connection {name} is in {place}", style="bold")
        say(f"next: pointsman connections test {name}")
    else:
        emit({"name": name, **value}, output)


def _login(said: Mapping[str, str | None]) -> dict[str, Any]:
    """Return how the connection logs in. Raise Invalid when several ways are said, or one is not whole."""
    given = {word: value for word, value in said.items() if value is not None}
    if len(given) > 1:
        message = f"one way to log in is wanted, {len(given)} are given: {', '.join(given)}"
        raise Invalid([Problem(message=message, code="usage")])
    for word, value in given.items():
        if word == "--bearer-env":
            return {"bearer": {"env": value}}
        if word == "--api-key-env":
            return {"api_key": {"env": value}}
        user, colon, variable = value.rpartition(":")
        if not (colon and user and variable):
            raise Invalid([_usage(f"{word} wants NAME:VARIABLE", value)])
        if word == "--basic":
            return {"basic": {"username": user, "password": {"env": variable}}}
        return {"oauth2": {"client_id": user, "client_secret": {"env": variable}}}
    return {}


def _pairs(word: str, said: Sequence[str]) -> dict[str, str]:
    problems = [
        _usage(f"{word} wants NAME=VALUE", one) for one in said if not one.partition("=")[0] or "=" not in one
    ]
    if problems:
        raise Invalid(problems)
    return {one.partition("=")[0]: one.partition("=")[2] for one in said}


def _usage(message: str, found: str) -> Problem:
    return Problem(message=message, code="usage", found=found[:80])


def _config(config: Path | None) -> Path:
    """Return the configuration file. Raise Invalid when there is none yet."""
    place = settings(config=config).config
    if not place.exists():
        problem = Problem(
            message=f"there is no configuration {place}", code="no-file", fix="`pointsman init` makes one"
        )
        raise Invalid([problem])
    return place
