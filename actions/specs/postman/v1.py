"""Reads collections v1 into calls: requests in one list, folders that name them by id."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from actions.specs.postman.calls import (
    Call,
    Login,
    Pair,
    Payload,
    Saved,
    Script,
    listing,
    mapping,
    pairs,
    prose,
    script_texts,
    written,
)
from actions.specs.postman.v2 import fields, login

_HELPERS: Final = {
    "basicAuth": "basic",
    "digestAuth": "digest",
    "bearerAuth": "bearer",
    "apikeyAuth": "apikey",
    "oAuth1": "oauth1",
    "oAuth2": "oauth2",
    "hawkAuth": "hawk",
    "ntlmAuth": "ntlm",
    "awsSigV4": "awsv4",
    "edgegridAuth": "edgegrid",
}
_MAX_DEPTH: Final = 50


def calls(collection: Mapping[str, Any], pointer: str) -> Iterator[Call]:
    """Yield every request in the order of the list."""
    folders = {
        written(one.get("id")): one
        for one in map(mapping, listing(collection.get("folders")))
        if one.get("id")
    }
    around = _parents(folders)
    everywhere = (collection, tuple(script_texts(collection.get("events"))))
    for index, entry in enumerate(listing(collection.get("requests"))):
        request = mapping(entry)
        if not request:
            continue
        chain = _chain(request, folders, around)
        yield _call(request, chain, everywhere, f"{pointer}/requests/{index}")


def _parents(folders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the folder of each request and folder by id, as the folders list them."""
    found: dict[str, str] = {}
    for id_, folder in folders.items():
        for key in ("order", "folders_order"):
            for child in listing(folder.get(key)):
                if isinstance(child, str):
                    found.setdefault(child, id_)
    return found


def _chain(
    request: Mapping[str, Any], folders: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Return the folders around a request, the outermost first."""
    found: list[Mapping[str, Any]] = []
    id_ = written(request.get("folder")) or parents.get(written(request.get("id")), "")
    while id_ in folders and len(found) < _MAX_DEPTH:
        found.append(folders[id_])
        id_ = written(folders[id_].get("folder")) or parents.get(id_, "")
    return found[::-1]


def _call(
    request: Mapping[str, Any],
    chain: list[Mapping[str, Any]],
    everywhere: tuple[Mapping[str, Any], tuple[Script, ...]],
    pointer: str,
) -> Call:
    collection, scripts = everywhere
    inherited = [login(one.get("auth")) for one in (collection, *chain)]
    name, query = request.get("name"), request.get("queryParams")
    url = written(request.get("url"))
    return Call(
        name=name if isinstance(name, str) else None,
        method=written(request.get("method")),
        url=url,
        shown_url=url,
        query=pairs(query) if isinstance(query, list) and query else None,
        path=pairs(request.get("pathVariableData") or request.get("pathVariables")),
        headers=pairs(request.get("headerData") or request.get("headers")),
        payload=_payload(request),
        login=_login(request) or next((one for one in reversed(inherited) if one), None),
        scripts=(
            *scripts,
            *(s for one in chain for s in script_texts(one.get("events"))),
            *_scripts(request),
        ),
        saved=tuple(_saved(one) for one in listing(request.get("responses")) if isinstance(one, dict)),
        description=prose(request.get("description")),
        folders=tuple(written(one.get("name")) for one in chain),
        pointer=pointer,
        pruned=mapping(request.get("protocolProfileBehavior")).get("disableBodyPruning") is not True,
    )


def _login(request: Mapping[str, Any]) -> Login | None:
    kind = _HELPERS.get(written(request.get("currentHelper")))
    helper = request.get("helperAttributes")
    if kind and isinstance(helper, dict):
        values = {name: written(one) for name, one in helper.items() if name not in ("id", "time")}
        if kind == "oauth1" and "header" in values:
            values["addParamsToHeader"] = values.pop("header")
        return Login(kind=kind, values=values)
    return login(request.get("auth"))


def _scripts(request: Mapping[str, Any]) -> Iterator[Script]:
    if listing(request.get("events")):
        yield from script_texts(request["events"])
        return
    for key, before in (("preRequestScript", True), ("tests", False)):
        code = request.get(key)
        if isinstance(code, list):
            code = "\n".join(line for line in code if isinstance(line, str))
        if isinstance(code, str) and code.strip():
            yield Script(text=code, before=before)


def _payload(request: Mapping[str, Any]) -> Payload | None:
    mode, data, raw = request.get("dataMode"), request.get("data"), request.get("rawModeData")
    if isinstance(raw, list):
        raw = "".join(one for one in raw if isinstance(one, str))
    if mode == "raw":
        text = raw if isinstance(raw, str) and raw else written(data)
        options = mapping(mapping(request.get("dataOptions")).get("raw"))
        return Payload(mode="raw", text=text, language=written(options.get("language"))) if text else None
    if mode == "urlencoded":
        return Payload(mode="urlencoded", fields=fields(data))
    if mode == "params":
        given: tuple[Pair, ...] = fields(data)
        return Payload(mode="formdata", fields=given) if given else None
    if mode == "binary":
        return Payload(mode="file")
    if mode == "graphql":
        query = mapping(request.get("graphqlModeData"))
        return Payload(mode="graphql", text=written(query.get("query")), variables=query.get("variables"))
    return None


def _saved(value: Mapping[str, Any]) -> Saved:
    code = mapping(value.get("responseCode"))
    return Saved(
        name=written(value.get("name")),
        status=written(code.get("code")) or written(value.get("status"))[:3],
        headers=pairs(value.get("headers")),
        body=written(value.get("text")),
        language=written(value.get("language")),
    )
