"""Verifies and makes webhook signatures. Pure: the clock's time comes in as a value.

One declaration, `Signature`, covers nearly all providers: which headers to read, how to take them apart, what
was signed (a template over the raw body, timestamp, id, URL and method), how it was signed and written down.
Nothing that a client sends makes this module raise; what is wrong is a slug for operators, not for senders.
"""

import base64
import binascii
import hashlib
import hmac
import re
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec
from typing_extensions import override

from triggers.keys import PUBLIC, Algorithm, BadSecret, KeyForm, fits, make, public_key, shared_key

Encoding = Literal["hex", "base64", "base64url"]
"""How a signature is written: lower-case hex; base64 with padding; URL-safe base64, padding or none."""

Refusal = Literal[
    "missing-signature", "malformed-signature", "bad-signature",
    "missing-timestamp", "malformed-timestamp", "timestamp-too-old", "timestamp-in-future",
    "missing-id", "unsigned-body", "missing-credentials", "bad-credentials",
]  # fmt: skip
"""Why a request is not genuine: for counters and operators, never for the sender."""

MAX_SIGNATURES: Final = 16
"""Signatures read from one header; more is no rotation but an attempt to make us work."""

TEMPLATE_FIELDS: Final = frozenset({"body", "timestamp", "id", "url", "method"})
"""What may stand in braces in the template of a signed text."""

_FIELD: Final = re.compile(r"\{([a-z]*)\}")
_DIGITS: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What verification looks at. Header names are lower case; `url` is the address the sender called."""

    headers: Mapping[str, str]
    body: bytes
    now: float
    method: str = "POST"
    url: str = ""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be signed."""

    body: bytes
    now: int
    id: str = ""
    method: str = "POST"
    url: str = ""


class _Abstract(msgspec.StructMeta, ABCMeta):
    """The metaclass of structs with abstract methods."""


class Scheme(msgspec.Struct, frozen=True, kw_only=True, metaclass=_Abstract):
    """One way to tell that a request is genuine: a declaration, and what follows from it."""

    @property
    @abstractmethod
    def reads_headers(self) -> frozenset[str]:
        """The headers that carry credentials or are part of the proof: they never enter a message."""

    @property
    def reads_query(self) -> frozenset[str]:
        """The query parameters that carry credentials."""
        return frozenset()

    def key(self, secret: str) -> Any:
        """Return the key that a secret stands for. Raise BadSecret when it is none."""
        return shared_key(secret)

    @abstractmethod
    def refusal(self, received: Received, keys: Sequence[Any]) -> Refusal | None:
        """Return why the request is not genuine under any of the keys, or None when it is. Never raises."""

    @abstractmethod
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        """Return the headers that make a request genuine. Raise BadSecret."""


class Signature(Scheme, frozen=True, kw_only=True):
    """A signature in a header.

    The header is one signature, or with `separator` a list; an item that begins with `prefix` is a
    signature, one that begins with `timestamp_prefix` the timestamp, anything else is passed over.
    """

    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    separator: str = ""
    prefix: str = ""
    timestamp_prefix: str = ""
    timestamp_header: str = ""
    timestamp_unit: Literal["s", "ms"] = "s"
    id_header: str = ""
    signed: str = "{body}"
    key_form: KeyForm = "text"
    tolerance: float = 300.0  # seconds, both ways

    @property
    @override
    def reads_headers(self) -> frozenset[str]:
        return frozenset({self.header, self.timestamp_header, self.id_header} - {""})

    def problems(self) -> list[str]:
        """Return everything that makes the declaration unsafe or senseless."""
        fields = _FIELD.findall(self.signed)
        found = [
            f"{{{name}}} is not known: use {', '.join(sorted(TEMPLATE_FIELDS))}"
            for name in fields
            if name not in TEMPLATE_FIELDS
        ]
        if "body" not in fields:
            found.append("{body} is missing: the body would not be protected")
        stamped = bool(self.timestamp_header or self.timestamp_prefix)
        if stamped and "timestamp" not in fields:
            found.append("{timestamp} is missing: anybody could change the timestamp")
        if "timestamp" in fields and not stamped:
            found.append("{timestamp} is used, but no header or prefix says where the timestamp is")
        if self.timestamp_header and self.timestamp_prefix:
            found.append("the timestamp is in its own header or in the signature's, not in both")
        if self.timestamp_prefix and not self.separator:
            found.append("a timestamp inside the signature's header needs a separator")
        if "id" in fields and not self.id_header:
            found.append("{id} is used, but no header says where the id is")
        return found

    @override
    def key(self, secret: str) -> Any:
        if self.algorithm in PUBLIC:
            return public_key(secret, self.algorithm)
        # Ready to be copied for each request: half the work of starting from the bytes.
        return hmac.new(shared_key(secret, self.key_form), digestmod=self.algorithm)

    @override
    def refusal(self, received: Received, keys: Sequence[Any]) -> Refusal | None:
        headers = received.headers
        text = headers.get(self.header)
        if not text:
            return "missing-signature"
        stamp = headers.get(self.timestamp_header, "") if self.timestamp_header else ""
        if self.separator:
            given, inside = self._take_apart(text)
            stamp = inside or stamp
        else:
            given = [text[len(self.prefix) :]] if text.startswith(self.prefix) else []
        if not given or len(given) > MAX_SIGNATURES:
            return "malformed-signature"
        if (self.timestamp_header or self.timestamp_prefix) and not _DIGITS.fullmatch(stamp):
            return "malformed-timestamp" if stamp else "missing-timestamp"
        identifier = headers.get(self.id_header, "") if self.id_header else ""
        if self.id_header and not identifier:
            return "missing-id"
        if self.signed == "{body}":
            content = received.body
        else:
            content = self._content(received.body, stamp, identifier, received.url, received.method)
        wrong = self._compare(content, given, keys)
        return wrong or (self._age(stamp, received.now) if stamp else None)

    @override
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        stamp = str(outgoing.now * (1000 if self.timestamp_unit == "ms" else 1))
        content = self._content(outgoing.body, stamp, outgoing.id, outgoing.url, outgoing.method)
        signature = self.prefix + self._make(content, secret)
        headers = {self.header: signature}
        if self.timestamp_prefix:
            headers[self.header] = f"{self.timestamp_prefix}{stamp}{self.separator}{signature}"
        if self.timestamp_header:
            headers[self.timestamp_header] = stamp
        if self.id_header:
            headers[self.id_header] = outgoing.id
        return headers

    def _take_apart(self, text: str) -> tuple[list[str], str]:
        given, stamp = [], ""
        for part in text.split(self.separator):
            item = part.strip(" \t")
            if item.startswith(self.prefix):
                given.append(item[len(self.prefix) :])
            elif self.timestamp_prefix and item.startswith(self.timestamp_prefix):
                stamp = item[len(self.timestamp_prefix) :]
        return given, stamp

    def _content(self, body: bytes, stamp: str, identifier: str, url: str, method: str) -> bytes:
        values = {"timestamp": stamp, "id": identifier, "url": url, "method": method}
        pieces = []
        for place, piece in enumerate(_FIELD.split(self.signed)):
            if place % 2 == 0:
                pieces.append(octets(piece))
            else:
                pieces.append(body if piece == "body" else octets(values[piece]))
        return b"".join(pieces)

    def _compare(self, content: bytes, given: list[str], keys: Sequence[Any]) -> Refusal | None:
        """Try every key on every signature, also after one fitted: the time tells nothing."""
        if self.algorithm in PUBLIC:
            return self._compare_public(content, given, keys)
        matched = shaped = False
        offered = [octets(item.rstrip("=") if self.encoding == "base64url" else item) for item in given]
        for key in keys:
            expected = _written(_code(key, content), self.encoding)
            for item in offered:
                shaped |= len(item) == len(expected)
                matched |= hmac.compare_digest(expected, item)
        if matched:
            return None
        return "bad-signature" if shaped else "malformed-signature"

    def _compare_public(self, content: bytes, given: list[str], keys: Sequence[Any]) -> Refusal | None:
        raws = [raw for raw in (_read(item, self.encoding) for item in given) if raw]
        if not raws:
            return "malformed-signature"
        matched = False
        for key in keys:
            for raw in raws:
                matched |= fits(key, raw, content, self.algorithm)
        return None if matched else "bad-signature"

    def _make(self, content: bytes, secret: str) -> str:
        if self.algorithm in PUBLIC:
            raw = make(secret, content, self.algorithm)
        else:
            raw = _code(self.key(secret), content)
        return _written(raw, self.encoding).decode("ascii")

    def _age(self, stamp: str, now: float) -> Refusal | None:
        made_at = int(stamp) // (1000 if self.timestamp_unit == "ms" else 1)
        if int(now) - made_at > self.tolerance:
            return "timestamp-too-old"
        return "timestamp-in-future" if made_at - int(now) > self.tolerance else None


class TwilioSignature(Scheme, frozen=True, kw_only=True):
    """Twilio's: HMAC-SHA1 over the URL and the form's sorted parameters, or over a URL with `bodySHA256`.

    The URL is tried as it is, with the scheme's usual port and without any: proxies change that.
    """

    header: str = "x-twilio-signature"

    @property
    @override
    def reads_headers(self) -> frozenset[str]:
        return frozenset({self.header})

    @override
    def refusal(self, received: Received, keys: Sequence[bytes]) -> Refusal | None:
        given = received.headers.get(self.header)
        if not given:
            return "missing-signature"
        content_type = received.headers.get("content-type", "application/x-www-form-urlencoded")
        is_form = content_type.lower().startswith("application/x-www-form-urlencoded")
        suffix = _twilio_parameters(received.url, received.body, is_form=is_form)
        if not isinstance(suffix, bytes):
            return suffix
        matched, offered = False, octets(given)
        for key in keys:
            for url in _with_and_without_port(received.url):
                expected = base64.b64encode(hmac.digest(key, octets(url) + suffix, "sha1"))
                matched |= hmac.compare_digest(expected, offered)
        return None if matched else "bad-signature"

    @override
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        suffix = _twilio_parameters(outgoing.url, outgoing.body, is_form=True)
        if not isinstance(suffix, bytes):
            raise BadSecret("the URL's bodySHA256 is not the body's hash")
        raw = hmac.digest(self.key(secret), octets(outgoing.url) + suffix, "sha1")
        return {self.header: base64.b64encode(raw).decode("ascii")}


class Verifier:
    """One or more schemes with their keys: a request is genuine when one of them says so.

    Raise BadSecret when a secret fits none of the schemes.
    """

    __slots__ = ("_pairs", "reads_headers", "reads_query")

    def __init__(self, schemes: Sequence[Scheme], secrets: Sequence[str]) -> None:
        keys: list[list[Any]] = [[] for _ in schemes]
        for secret in secrets:
            errors = []
            for place, scheme in enumerate(schemes):
                try:
                    keys[place].append(scheme.key(secret))
                except BadSecret as error:
                    errors.append(error)
            if len(errors) == len(schemes):
                raise BadSecret("; ".join(str(error) for error in errors))
        self._pairs = [(scheme, tuple(own)) for scheme, own in zip(schemes, keys, strict=True) if own]
        if not self._pairs:
            raise BadSecret("there is no secret")
        self.reads_headers = frozenset[str]().union(*(scheme.reads_headers for scheme in schemes))
        self.reads_query = frozenset[str]().union(*(scheme.reads_query for scheme in schemes))

    def refusal(self, received: Received) -> Refusal | None:
        """Return why the request is not genuine, or None when it is. Never raises."""
        worst: Refusal | None = None
        for scheme, keys in self._pairs:
            refusal = scheme.refusal(received, keys)
            if refusal is None:
                return None
            # What says more than "nothing there" or "not mine" is worth telling.
            if worst is None or worst in ("missing-signature", "malformed-signature"):
                worst = refusal
        return worst


def octets(text: str) -> bytes:
    """Return the bytes that a header's text stood for on the wire. Never raises."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def form_pairs(text: bytes) -> list[tuple[bytes, bytes]]:
    """Return names and values of a form or a query, percent-decoded, as bytes. Never raises."""
    pairs = []
    for field in text.split(b"&"):
        if field:
            name, _, value = field.replace(b"+", b" ").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def with_body_hash(url: str, body: bytes) -> str:
    """Return the URL with Twilio's `bodySHA256` parameter, which protects a body that is no form."""
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}bodySHA256={hashlib.sha256(body).hexdigest()}"


def _code(key: hmac.HMAC, content: bytes) -> bytes:
    """Return the code of `content` by a key that stays as it is."""
    code = key.copy()
    code.update(content)
    return code.digest()


def _written(raw: bytes, encoding: Encoding) -> bytes:
    if encoding == "hex":
        return raw.hex().encode("ascii")
    if encoding == "base64":
        return base64.b64encode(raw)
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _read(text: str, encoding: Encoding) -> bytes:
    """Return the bytes of a written signature, none when it is not written like that.

    One signature has one spelling: the bits that the last sign of base64 does not need are zero.
    """
    said = octets(text)
    try:
        if encoding == "hex":
            return binascii.unhexlify(said)
        if encoding == "base64":
            raw = base64.b64decode(said, validate=True)
        else:
            said = said.rstrip(b"=")
            raw = base64.urlsafe_b64decode(said + b"=" * (-len(said) % 4))
    except ValueError:
        return b""
    return raw if _written(raw, encoding) == said else b""


def _twilio_parameters(url: str, body: bytes, *, is_form: bool) -> bytes | Refusal:
    """Return what Twilio appends to the URL before it signs, or why the body is not protected."""
    named = form_pairs(octets(url).partition(b"?")[2].partition(b"#")[0])
    digests = [value for name, value in named if name == b"bodySHA256"]
    if digests:
        actual = hashlib.sha256(body).hexdigest().encode("ascii")
        same = hmac.compare_digest(digests[-1], actual)
        return b"" if same else "bad-signature"
    if body and not is_form:
        return "unsigned-body"
    # A name that stands several times is signed with each different value once.
    return b"".join(name + value for name, value in sorted(set(form_pairs(body))))


def _with_and_without_port(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        named = parts.port
    except ValueError:
        return (url,)
    bare = parts.netloc if named is None else parts.netloc.rpartition(":")[0]
    start, _, rest = url.partition("://")
    tail = rest[len(parts.netloc) :]
    port = named or (80 if parts.scheme == "http" else 443)
    return tuple({url: None, f"{start}://{bare}{tail}": None, f"{start}://{bare}:{port}{tail}": None})
