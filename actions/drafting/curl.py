"""A command of curl, understood: which request it would send. Pure: nothing is sent, and no file is read.

What says how to send and not what (time limits, output, redirects, compression, trust) is left out.
Everything that is wrong or unknown is said at once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote_plus, urlsplit

import msgspec

from actions.addresses import read_server
from actions.drafting.options import NO, NO_VALUED, PLAIN, SHORT, VALUED
from actions.drafting.words import split
from actions.errors import Refused

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9-]{0,31}")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
FORM: Final = "application/x-www-form-urlencoded"
_VARIABLE: Final = re.compile(r"\$\{?[A-Za-z_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a multipart body. `file`: it is a file, whose content is not known."""

    name: str
    value: str = ""
    type: str = ""
    file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that a command would send. `query` is as written, `path` begins with a slash.

    `body` is None where there is none, or where it stands in a file (`unread`). `login` is a scheme of HTTP
    that the command itself names. `notes` are what people should know of the reading.
    """

    method: str
    origin: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    parts: tuple[Part, ...] = ()
    type: str = ""
    unread: bool = False
    login: str = ""
    notes: tuple[str, ...] = ()


def read_curl(text: str) -> Asked:
    """Return what a command of curl asks for. Raise Refused with everything that is wrong."""
    words, rest = split(text)
    if words[:1] in (["$"], [">"], ["%"]):  # the prompt of a shell, copied along
        words = words[1:]
    while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.DOTALL):
        words = words[1:]
    program = words[0].replace("\\", "/").rpartition("/")[2].lower() if words else ""
    if program not in ("curl", "curl.exe"):
        begins = repr(words[0][:40]) if words else "nothing"
        raise Refused(f"this is no command of curl: it begins with {begins}")
    command = _Command()
    if rest and not rest.startswith("#"):
        command.notes.append(f"only the first command is read, not what comes from {rest[:12]!r} on")
    command.take(words[1:])
    return command.asked()


@dataclass(slots=True)
class _Command:
    """The options of one command, as they come."""

    urls: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    method: str = ""
    login: str = ""
    json: bool = False
    unread: bool = False

    def take(self, words: list[str]) -> None:
        """Take all words behind the program's name."""
        waiting = words[::-1]
        while waiting:
            word = waiting.pop()
            if word.startswith("--") and len(word) > 2:
                self._option(word, waiting)
            elif word.startswith("-") and len(word) > 1:
                self._short(word, waiting)
            else:
                self.urls.append(word)

    def _short(self, word: str, waiting: list[str]) -> None:
        """Take letters that stand together; the first that wants a value has the rest of the word."""
        name = word[:2]
        long = SHORT.get(name, name)
        wants = long in _TAKE or long in VALUED or long in NO_VALUED
        if wants and len(word) > 2:
            waiting.append(word[2:])
        elif len(word) > 2:
            waiting.append(f"-{word[2:]}")
        self._option(long, waiting)

    def _option(self, name: str, waiting: list[str]) -> None:
        if name in NO:
            self.problems.append(f"{name}: {NO[name]}")
            if name in NO_VALUED and waiting:
                waiting.pop()
        elif name in PLAIN:
            return
        elif name in _TAKE or name in VALUED:
            if not waiting:
                self.problems.append(f"{name} has no value")
                return
            value = waiting.pop()
            if name in _TAKE:
                _TAKE[name](self, value)
        elif name in ("--get", "--head"):
            self.flags.add(name)
        elif name == "--digest":
            self.login = "digest"
        else:
            self.problems.append(f"{name} is not known")

    # -- what single options say

    def request(self, value: str) -> None:
        """Take `-X`."""
        self.method = value

    def header(self, value: str) -> None:
        """Take `-H`: `Name;` is an empty one, `Name:` takes one of curl's own away."""
        if value.startswith("@"):
            self.notes.append(f"the headers in the file {value[1:]} are not read")
            return
        name, colon, text = value.partition(":")
        if not colon and value.endswith(";"):
            name, text = value[:-1], ""
        elif not colon or not text.strip():
            return
        name = name.strip()
        if not name:
            return  # a pseudo header of HTTP/2, as browsers' tools show them
        if not _TOKEN.fullmatch(name):
            self.problems.append(f"the header name {name[:40]!r} is none")
            return
        self.headers.append((name, text.strip()))

    def body(self, value: str) -> None:
        """Take `-d`, which reads a file behind an @."""
        if value.startswith("@"):
            self._file(value[1:])
        else:
            self.data.append(value)

    def raw(self, value: str) -> None:
        """Take `--data-raw`."""
        self.data.append(value)

    def encoded(self, value: str) -> None:
        """Take `--data-urlencode`."""
        self.data.append(self._encoded(value))

    def _encoded(self, value: str) -> str:
        """Return `content`, `=content`, `name=content`, `@file` or `name@file` as it is sent."""
        found = re.match(r"([^=@]*)([=@])(.*)", value, re.DOTALL)
        if found is None:
            return quote_plus(value)
        name, sign, content = found.groups()
        if sign == "@":
            self.notes.append(f"the file {content} is not read")
            content = ""
        return f"{name}={quote_plus(content)}" if name else quote_plus(content)

    def as_json(self, value: str) -> None:
        """Take `--json`."""
        self.json = True
        self.body(value)

    def form(self, value: str) -> None:
        """Take `-F`: `name=content`, `name=@file;type=…;filename=…`, `name=<file`."""
        name, equals, content = value.partition("=")
        if not equals:
            self.problems.append(f"-F {value[:40]!r} is no name=content")
            return
        content, kind = _with_type(content)
        if content.startswith(("@", "<")):
            self.parts.append(Part(name=name, type=kind, file=content[0] == "@"))
        else:
            self.parts.append(Part(name=name, value=content, type=kind))

    def form_string(self, value: str) -> None:
        """Take `--form-string`."""
        name, _, content = value.partition("=")
        self.parts.append(Part(name=name, value=content))

    def user(self, _value: str) -> None:
        """Take `-u`."""
        self.login = self.login or "basic"

    def bearer(self, _value: str) -> None:
        """Take `--oauth2-bearer`."""
        self.login = "bearer"

    def cookie(self, value: str) -> None:
        """Take `-b`, which is a file where it has no =."""
        if "=" in value:
            self.headers.append(("Cookie", value))
        else:
            self.notes.append(f"the cookies in the file {value} are not read")

    def agent(self, value: str) -> None:
        """Take `-A`."""
        self.headers.append(("User-Agent", value))

    def referer(self, value: str) -> None:
        """Take `-e`."""
        self.headers.append(("Referer", value.removesuffix(";auto")))

    def upload(self, value: str) -> None:
        """Take `-T`."""
        self.flags.add("--upload-file")
        self._file(value)

    def certificate(self, _value: str) -> None:
        """Take `--cert` and `--key`."""
        note = "the certificate of the client is not described: say it as `tls` of the connection"
        if note not in self.notes:
            self.notes.append(note)

    def url(self, value: str) -> None:
        """Take `--url`."""
        self.urls.append(value)

    def url_query(self, value: str) -> None:
        """Take `--url-query`."""
        self.fields.append(self._encoded(value))

    def _file(self, name: str) -> None:
        self.unread = True
        self.notes.append(f"the file {name} is not read: of the body only its Content-Type is described")

    # -- the request

    def asked(self) -> Asked:
        """Return the request. Raise Refused with everything that is wrong."""
        url = self._url()
        named = {name.lower(): text for name, text in self.headers}
        to_query = "--get" in self.flags
        body = self._data() if self.data and not (to_query or self.unread) else None
        unread = self.unread and not to_query
        has_body = body is not None or unread or bool(self.parts)
        method = self._method(has_body=has_body)
        if self.parts and (self.data or unread):
            self.problems.append("-d and -F cannot go together")
        if self.problems:
            texts = tuple(("", one) for one in self.problems)
            raise Refused("the command cannot be drafted: " + "; ".join(self.problems), texts)
        return Asked(
            method=method,
            origin=f"{url.scheme.lower()}://{url.netloc.rpartition('@')[2]}",
            path=_without_dots(url.path or "/"),
            query="&".join(filter(None, [url.query, *self.fields, *(self.data if to_query else ())])),
            headers=tuple(self.headers),
            body=body,
            parts=tuple(self.parts),
            type=self._type(named, body) if has_body else "",
            unread=unread,
            login=self.login or ("basic" if "@" in url.netloc else ""),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _url(self) -> SplitResult:
        if len(self.urls) != 1:
            many = f"it has {len(self.urls)} URLs ({', '.join(one[:60] for one in self.urls)})"
            self.problems.append(many if self.urls else "it has no URL")
            return SplitResult("https", "", "", "", "")
        text = self.urls[0].strip()
        if _CONTROL.search(text) or " " in text:
            self.problems.append("the URL has a space or a control character")
            text = ""
        try:
            url = urlsplit(text if _SCHEME.match(text) else f"http://{text}")
        except ValueError as error:
            self.problems.append(f"the URL cannot be read: {error}")
            return SplitResult("https", "", "", "", "")
        host = url.netloc.rpartition("@")[2]
        if _VARIABLE.search(host):
            self.problems.append("the server is a variable of the shell: write it out")
        elif url.scheme.lower() not in ("http", "https"):
            self.problems.append(f"{url.scheme}:// is not HTTP")
        elif text:
            self.problems += read_server(f"{url.scheme}://{host}")[1]
        return url

    def _method(self, *, has_body: bool) -> str:
        if self.method:
            method = self.method.upper()
            if not _METHOD.fullmatch(method):
                self.problems.append(f"{self.method[:40]!r} is no method")
            return method
        if "--head" in self.flags:
            return "HEAD"
        if "--upload-file" in self.flags:
            return "PUT"
        return "POST" if has_body else "GET"

    def _data(self) -> str:
        return ("" if self.json else "&").join(self.data)

    def _type(self, named: Mapping[str, str], body: str | None) -> str:
        """Return the media type of the body: the one that is said, else what it plainly is."""
        said = named.get("content-type", "")
        if self.parts:
            return said if said.lower().startswith("multipart/") else "multipart/form-data"
        if said:
            return said
        if self.json:
            return "application/json"
        if "--upload-file" in self.flags:
            return "application/octet-stream"
        if body is not None and _is_json(body):
            self.notes.append(
                "no Content-Type is given: curl would say that the JSON is a form; it is drafted as JSON"
            )
            return "application/json"
        return FORM


def _without_dots(path: str) -> str:
    """Return a path as curl sends it (RFC 3986 §5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join([*kept, ""] if segments[-1] in (".", "..") and kept else kept)


def _is_json(body: str) -> bool:
    try:
        return body.lstrip()[:1] in ("{", "[") and msgspec.json.decode(body) is not None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False


def _with_type(content: str) -> tuple[str, str]:
    """Return the content of a part and its media type, without what else stands behind it."""
    found = re.search(r";\s*(?:type|filename|headers|encoder)=", content)
    if found is None:
        return content, ""
    kind = re.search(r";\s*type=([^;]+)", content)
    return content[: found.start()], kind[1].strip() if kind else ""


_TAKE: Final[Mapping[str, Callable[[_Command, str], None]]] = {
    "--request": _Command.request,
    "--header": _Command.header,
    "--data": _Command.body,
    "--data-ascii": _Command.body,
    "--data-binary": _Command.body,
    "--data-raw": _Command.raw,
    "--data-urlencode": _Command.encoded,
    "--json": _Command.as_json,
    "--form": _Command.form,
    "--form-string": _Command.form_string,
    "--user": _Command.user,
    "--oauth2-bearer": _Command.bearer,
    "--cookie": _Command.cookie,
    "--user-agent": _Command.agent,
    "--referer": _Command.referer,
    "--upload-file": _Command.upload,
    "--cert": _Command.certificate,
    "--key": _Command.certificate,
    "--url": _Command.url,
    "--url-query": _Command.url_query,
}
