"""Connectors as they stand in the files: descriptions, their versions, and the operations wanted of them."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from service.config.closed import Closed
from service.config.values import SHA256_PATTERN, Duration, PathText, Refused
from service.rules.wildcard import BadWildcard, split_wildcard

COPIES: Final = ".pointsman/descriptions"
"""Where copies of descriptions from URLs lie, beside the file that names them; each is named by its hash."""


def is_url(spec: str) -> bool:
    """Say whether a description is named by a URL rather than by a path."""
    return spec.startswith(("http://", "https://"))


def copy_of(sha256: str) -> str:
    """Return where the copy of a description from a URL lies."""
    return f"{COPIES}/{sha256}"


VERSION_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

TAG: Final = "tag:"
"""How an entry begins that names operations by a tag of theirs."""

_ENTRY: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^(?!tag:\s*$)([^*\\]|\\[*\\]|\*(?!\*))+$",
    "examples": ["listOrders", "tag:orders", "GET /orders*"],
}


def _entry(value: Any) -> Any:
    """Check one entry: the name of an operation, or a tag, in which `*` stands for anything."""
    if isinstance(value, dict) and list(value) == ["tag"]:
        raise Refused("an entry is a text", "write `tag:NAME`, without a space behind the colon")
    if not isinstance(value, str):
        return value
    name = value.removeprefix(TAG)
    if not name.strip():
        fix = "write an operation, `METHOD /path` or `tag:NAME`"
        raise Refused("an entry names an operation or a tag", fix)
    try:
        split_wildcard(name)
    except BadWildcard as error:
        raise Refused(str(error), error.fix) from error
    return value


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Entries = Annotated[
    tuple[Annotated[str, BeforeValidator(_entry)], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_ENTRY, {"type": "array", "items": _ENTRY, "minItems": 1}]}),
]


def _version(value: Any) -> Any:
    return {"spec": value} if isinstance(value, str) else value


class _OrPath:
    """Says in the JSON Schema that the path alone will do."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}


class VersionConfig(Closed):
    """An earlier version of a description: where it lies, and whether it is still to be used."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "anyOf": [{"required": ["spec"]}, {"required": ["withdrawn"]}],
            "not": {"required": ["deprecated", "withdrawn"]},
        },
    )

    spec: PathText | None = Field(
        default=None,
        description="The description, as in `spec` of the connector. Of what is withdrawn nothing is read.",
    )
    deprecated: Reason | None = Field(
        default=None,
        description="Why it should not be used any more, or what instead. It works, and `check` warns of "
        "every rule that pins it.",
        examples=["use 2025-01: it takes the zone"],
    )
    withdrawn: Reason | None = Field(
        default=None,
        description="Why it can no longer be used: rules that pin it are refused. What was accepted before "
        "is delivered as it was accepted.",
    )

    @model_validator(mode="after")
    def _one_state(self) -> "VersionConfig":
        if self.deprecated is not None and self.withdrawn is not None:
            raise Refused("a version is deprecated or withdrawn", "remove `deprecated`")
        if self.spec is None and self.withdrawn is None:
            raise Refused("the version has no description", "give `spec: file`")
        return self

    @property
    def state(self) -> Literal["usable", "deprecated", "withdrawn"]:
        """Whether it is still to be used."""
        return (
            "withdrawn"
            if self.withdrawn is not None
            else "deprecated"
            if self.deprecated is not None
            else "usable"
        )

    @property
    def reason(self) -> str:
        """Why not; "" where it is."""
        return self.withdrawn or self.deprecated or ""


Versions = dict[Version, Annotated[VersionConfig, BeforeValidator(_version), _OrPath()]]


class OperationsConfig(Closed):
    """Which operations of a description are wanted. What both lists name is left out."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={"anyOf": [{"required": ["include"]}, {"required": ["exclude"]}]},
    )

    include: Entries | None = Field(
        default=None,
        description="Only these operations, by id, by name, as `METHOD /path` or as `tag:NAME`; `*` stands "
        "for any text. Absent: all.",
        examples=[["tag:orders", "GET /stock/*"]],
    )
    exclude: Entries | None = Field(
        default=None, description="Not these, written in the same way.", examples=["DELETE *"]
    )

    @model_validator(mode="after")
    def _some(self) -> "OperationsConfig":
        if self.include is None and self.exclude is None:
            raise Refused("`operations` says nothing", "give `include`, `exclude` or both, or remove it")
        return self


class ConnectorConfig(Closed):
    """Where operations come from: an API description, or what a kind of bus can do anyway."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "oneOf": [{"required": ["spec"]}, {"required": ["kind"]}],
            "dependentSchemas": {"sha256": {"properties": {"spec": {"pattern": "^https?://"}}}},
        },
    )

    spec: PathText | None = Field(
        default=None,
        description="The description: a file (OpenAPI, Swagger, AsyncAPI, Postman; JSON or YAML), a folder, "
        "a zip archive or a git directory that holds one, relative to the file that names it; or a URL.",
        examples=["specs/shop.openapi.yaml", "specs/shop", "https://api.example.com/openapi.json"],
    )
    sha256: str | None = Field(
        default=None,
        pattern=SHA256_PATTERN,
        description="For a description from a URL: the SHA-256 of its bytes in hexadecimal digits. It is "
        "read from the copy that `pointsman connectors fetch` made; nothing is ever fetched by itself.",
    )
    operations: OperationsConfig | None = Field(
        default=None,
        description="Which operations of the description, and of its versions, there are to be; absent: all.",
    )
    versions: Versions = Field(
        default={},
        description="Earlier versions of the description, by a name of their own, for steps that pin one "
        "(`version`). A step that pins none floats: it is called as `spec` says.",
        examples=[
            {"2024-10": "specs/shop-2024-10.yaml"},
            {"2023-01": {"withdrawn": "the provider has switched it off; use 2024-10"}},
        ],
    )
    code: PathText | None = Field(
        default=None,
        description="A hook: a Python file that performs operations, see docs/hooks.md.",
        examples=["hooks/shop.py"],
    )
    code_for: tuple[str, ...] = Field(
        default=(), description="The operations that the hook performs; absent: those that need code."
    )
    code_timeout: Duration = Field(
        default=timedelta(seconds=5), description="How long the hook may take a call, what it sends apart."
    )
    kind: Literal["kafka", "rabbitmq"] | None = Field(
        default=None,
        description="Instead of a description: a bus, to which anything can be published.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ConnectorConfig":
        if (self.spec is None) == (self.kind is None):
            raise Refused(
                "a connector has either a description or a kind",
                "give `spec: file`, or `kind: kafka` or `kind: rabbitmq`",
            )
        if self.spec is None:
            self._plain_bus()
        if self.code is None and self.code_for:
            raise Refused("`code_for` belongs to `code`", "remove it, or name the hook's file as `code`")
        if self.sha256 is not None and not is_url(self.spec or ""):
            raise Refused(
                "`sha256` pins a description from a URL, and this is none",
                "remove it; files are pinned by what is read of them",
            )
        return self

    def _plain_bus(self) -> None:
        """Refuse what is said of the description where there is none."""
        if self.versions:
            raise Refused("a bus has no versions", "remove `versions`")
        if self.operations is not None:
            raise Refused("a bus has no operations to choose from", "remove `operations`")
        if self.code is not None:
            raise Refused("hooks are for descriptions of HTTP APIs", "remove `code`")

    @property
    def usable(self) -> dict[str, str]:
        """Where the description of each version lies that is not withdrawn, by name."""
        return {name: one.spec for name, one in self.versions.items() if one.spec and not one.withdrawn}

    @property
    def title(self) -> str:
        """What names it to people: the file, or the kind."""
        return self.spec or str(self.kind)
