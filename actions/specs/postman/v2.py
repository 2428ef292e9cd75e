"""Reads collections v2.0 and v2.1 into calls. Folders are items without a request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actions.specs.postman.calls import (
    MODES,
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
    source,
    written,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """What the requests of a folder inherit."""

    names: tuple[str, ...] = ()
    login: Login | None = None
    scripts: tuple[Script, ...] = ()
    pruned: bool = True

    def inner(self, value: Mapping[str, Any], *names: str) -> "_Folder":
        behavior = mapping(value.get("protocolProfileBehavior"))
        return _Folder(
            names=(*self.names, *names),
            login=login(value.get("auth")) or self.login,
            scripts=(*self.scripts, *script_texts(value.get("event", value.get("events")))),
            pruned=self.pruned and behavior.get("disableBodyPruning") is not True,
        )


def calls(collection: Mapping[str, Any], pointer: str) -> Iterator[Call]:
    """Yield every request in its order, however deep it lies."""
    folder = _Folder().inner(collection)
    stack = [_entries(collection.get("item"), folder, f"{pointer}/item")]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        entry, at, around = found
        item = mapping(entry)
        if "request" in item:
            yield _call(item, around, at)
        if isinstance(item.get("item"), list):
            name = written(item.get("name"))
            stack.append(_entries(item["item"], around.inner(item, name), f"{at}/item"))


def _entries(value: Any, folder: _Folder, pointer: str) -> Iterator[tuple[Any, str, _Folder]]:
    for index, entry in enumerate(listing(value)):
        yield entry, f"{pointer}/{index}", folder


def _call(item: Mapping[str, Any], folder: _Folder, pointer: str) -> Call:
    inner = folder.inner(item)
    name = item.get("name")
    request = item["request"]
    saved = item.get("response", item.get("responses"))
    if isinstance(request, str):
        request = {"method": "GET", "url": request}
    request = mapping(request)
    url = request.get("url")
    parts = mapping(url)
    return Call(
        name=name if isinstance(name, str) else None,
        method=written(request.get("method")),
        url=_whole(url),
        shown_url=_shown(url),
        query=pairs(parts["query"]) if isinstance(parts.get("query"), list) else None,
        path=pairs(parts.get("variable")),
        headers=pairs(request.get("header", request.get("headers"))),
        payload=payload(request.get("body")),
        login=login(request.get("auth")) or inner.login,
        scripts=inner.scripts,
        saved=tuple(_saved(one) for one in listing(saved) if isinstance(one, dict)),
        description=prose(request.get("description")) or prose(item.get("description")),
        folders=folder.names,
        pointer=pointer,
        pruned=inner.pruned,
    )


def _joined(value: Any, separator: str) -> str:
    if not isinstance(value, list):
        return written(value)
    texts = (
        written(one.get("value")) or ":" + written(one.get("key")) if isinstance(one, dict) else written(one)
        for one in value
    )
    return separator.join(texts)


def _shown(url: Any) -> str:
    """Return the URL as a reader of the collection knows it: as written, or its host and path."""
    if not isinstance(url, dict):
        return written(url)
    raw = written(url.get("raw"))
    host, path = _joined(url.get("host"), "."), _joined(url.get("path"), "/")
    return raw or (f"{host}/{path}" if host and path else host or path)


def _whole(url: Any) -> str:
    if not isinstance(url, dict) or written(url.get("raw")).strip():
        return written(url.get("raw") if isinstance(url, dict) else url)
    host, path = _joined(url.get("host"), "."), _joined(url.get("path"), "/")
    if not host and not path:
        return ""
    protocol, port = written(url.get("protocol")), written(url.get("port"))
    start = f"{protocol.removesuffix('://')}://" if protocol else ""
    end = f"/{path.removeprefix('/')}" if path else ""
    return f"{start}{host}{f':{port}' if port else ''}{end}"


def payload(value: Any) -> Payload | None:
    """Read a body."""
    body = mapping(value)
    mode = next((one for one in MODES if one == body.get("mode")), None)
    if mode is None or body.get("disabled") is True:
        return None
    held = body.get(mode)
    if mode in ("urlencoded", "formdata"):
        return Payload(mode=mode, fields=fields(held))
    if mode == "graphql":
        query = mapping(held)
        return Payload(
            mode=mode,
            text=written(query.get("query")),
            variables=query.get("variables"),
            operation=written(query.get("operationName")),
        )
    if mode == "file":
        whole = mapping(held)
        name = source(whole.get("src"))
        fields_ = (Pair(name="", value=name, file=True),) if name else ()
        return Payload(mode=mode, text=written(whole.get("content")), fields=fields_)
    language = mapping(mapping(body.get("options")).get("raw")).get("language")
    return Payload(mode=mode, text=written(held), language=written(language))


def fields(value: Any) -> tuple[Pair, ...]:
    """Read the fields of a form; of one that is a single text too."""
    if isinstance(value, str):
        parts = (one.partition("=") for one in value.split("&") if one)
        return tuple(Pair(name=name, value=text) for name, _, text in parts if name)
    return pairs(value)


def login(value: Any) -> Login | None:
    """Read how to log in; None where nothing is said, so that what is around decides."""
    auth = mapping(value)
    kind = written(auth.get("type"))
    if not kind or auth.get("disabled") is True:
        return None
    held = auth.get(kind)
    if isinstance(held, dict):
        return Login(kind=kind, values={name: written(one) for name, one in held.items()})
    values = (mapping(one) for one in listing(held))
    return Login(kind=kind, values={written(one.get("key")): written(one.get("value")) for one in values})


def _saved(value: Mapping[str, Any]) -> Saved:
    code = value.get("code")
    status = written(code) if isinstance(code, int) else written(value.get("status"))[:3]
    return Saved(
        name=written(value.get("name")),
        status=status,
        headers=pairs(value.get("header")),
        body=written(value.get("body")),
        language=written(value.get("_postman_previewlanguage")),
    )
