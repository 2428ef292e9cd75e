"""What every code of a finding in a description means, and what to do about it.

The page docs/connectors.md and the rules of a SARIF report are this table; a test holds it against the codes
that the readers use. `microsoft` are the names of the same checks in the validator of Power Platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding: what it means, and what would be right."""

    meaning: str
    hint: str
    microsoft: tuple[str, ...] = ()


TEXT: Final[Mapping[str, Rule]] = {
    "control-character": Rule("A character that YAML forbids; it is read as a space.", "Delete it."),
    "duplicate-key": Rule("A key stands twice in one object; the last one counts.", "Remove one of them."),
    "empty": Rule("There is nothing in the document.", "Give the file that was meant."),
    "encoding": Rule("The text is not in the encoding that it should be in.", "Save it as UTF-8."),
    "not-strict-json": Rule(
        "A comment, a stray comma or another thing that JSON does not have.",
        "Remove it, or name the file .yaml.",
    ),
    "several-documents": Rule("The YAML file holds several documents; the first is read.", "Split the file."),
    "too-deep": Rule(
        "Something is nested deeper than is read; null stands for it.", "Give inner parts a name."
    ),
    "too-large": Rule("The document, or what it leads to, is larger than is read.", "Give a smaller part."),
    "unreadable": Rule("The text is neither JSON nor YAML.", "Mend it at the place that is named."),
    "unreadable-file": Rule("The file cannot be opened.", "Check its path and its permissions."),
    "yaml-alias": Rule("An alias leads to nothing, or to too much.", "Write what it stands for."),
    "yaml-key": Rule("A key is not text.", "Put it in quotes."),
    "yaml-merge": Rule("`<<` stands before something that is no mapping.", "Give it a mapping."),
    "yaml-tab": Rule("Lines are indented by tabs.", "Indent by spaces."),
    "yaml-tag": Rule("A tag is ignored: nothing of a description is executed.", "Remove it."),
}
"""The text of a document."""

DOCUMENT: Final[Mapping[str, Rule]] = {
    "collection-version": Rule("The collection does not say a version that is known.", "Export it as v2.1."),
    "export-extension": Rule(
        "What stands under `x-pointsman` cannot be meant; it is ignored.", "Export the description again."
    ),
    "extension": Rule("An `x-ms-…` extension is unknown or misspelt.", "Write it as it is documented."),
    "internal": Rule("Reading the document failed: a fault of Pointsman.", "Report it with the document."),
    "new-word": Rule("A word of OpenAPI 3.2 that is not read.", "Nothing: the rest is read as in 3.1."),
    "no-definition": Rule(
        "The folder of a connector has no definition.", "Put apiDefinition.swagger.json there."
    ),
    "no-description": Rule("The file is something else than an API description.", "Give the description."),
    "no-operation": Rule("There is no operation and no trigger in it.", "Check that it is the right file."),
    "no-properties": Rule(
        "There is no apiProperties.json beside the definition.", "Add it if logins or policies are missing."
    ),
    "no-such-file": Rule("A file is not there.", "Check its path."),
    "odd-version": Rule("The version is written in an odd way.", "Write `3.0.3`, say, in quotes."),
    "several-descriptions": Rule("The place holds several descriptions.", "Name one of them."),
    "too-many-operations": Rule(
        "There are more operations than can be called.",
        "Split the description, or raise POINTSMAN_MAX_OPERATIONS.",
        ("TotalOperationsCountExceedsMaxAllowed",),
    ),
    "two-versions": Rule("The document says `openapi` and `swagger`.", "Remove the one that is not meant."),
    "unknown-version": Rule("A version of the format that is not known.", "Convert it to one that is."),
    "wrong-type": Rule(
        "An object, or an array, should stand here; what does is left out.",
        "Write what is wanted.",
        ("JsonTypeIncorrect",),
    ),
}
"""The document as a whole."""

REFERENCES: Final[Mapping[str, Rule]] = {
    "reference-cycle": Rule("A reference leads back to itself.", "Let it lead to a schema."),
    "reference-file": Rule("A reference leads to a file that cannot be had.", "Put the file beside it."),
    "reference-loose": Rule("A reference is not written right; it was followed.", "Write `#/…`."),
    "reference-malformed": Rule("A reference is no JSON pointer.", "Write `#/…`."),
    "reference-missing": Rule("A reference leads to nothing.", "Declare it, or mend its spelling."),
    "reference-remote": Rule("A reference leads to a URL: nothing is fetched.", "Put the file beside it."),
}
"""References."""

LOGINS: Final[Mapping[str, Rule]] = {
    "connection-parameter": Rule("A connection parameter is not understood.", "Write a type that is known."),
    "credential": Rule("A credential stands in the text.", "Make it a variable, and the credential invalid."),
    "identity-provider": Rule("The identity provider is not known.", "Give its URLs in the connection."),
    "no-scheme": Rule("Neither http nor https is named; https is taken.", "Write `schemes: [https]`."),
    "no-server": Rule("No server is named.", "Give `server` in the connection."),
    "security-scheme": Rule(
        "A way to log in is not declared, or of a kind that is not known.", "Declare it."
    ),
    "server-protocol": Rule(
        "A server speaks a protocol that is not spoken here.", "Nothing, if another does."
    ),
    "server-url": Rule(
        "A server's URL cannot be used as it is.", "Write host and path.", ("HostNameNotValid",)
    ),
    "generator-unknown": Rule(
        "A variable is written like a generator and is none.", "Give it as a parameter."
    ),
    "server-variable": Rule("A part of a server's URL has no value.", "Give it in the connection."),
    "variable-missing": Rule("A variable of the collection has no value.", "Give it as a parameter."),
    "variable-of-script": Rule("A variable is set by a script, which is not run.", "Give it as a parameter."),
}
"""Servers, logins and variables."""

OPERATIONS: Final[Mapping[str, Rule]] = {
    "body-and-form": Rule(
        "There are a body and form fields.", "Remove one of them.", ("ParameterListContainsFormDataAndBody",)
    ),
    "collection-format": Rule(
        "A list is written in a way that does not fit its place.",
        "Write `csv` or `multi`.",
        ("CollectionFormatValueNotSupported",),
    ),
    "consumes": Rule(
        "The media types do not fit what is sent.",
        "Name one that fits.",
        ("MimeTypeNotCompatibleWithRequestContentSchemaType",),
    ),
    "constant-query": Rule(
        "A query parameter has its value in the path already.", "Nothing: the path's value is sent."
    ),
    "content": Rule("A media type, or what it holds, cannot be used.", "Mend it.", ("MimeTypeNotValid",)),
    "duplicate-operation-id": Rule(
        "Several operations have one operationId.", "Give each its own.", ("OperationIdNotUnique",)
    ),
    "duplicate-parameter": Rule(
        "A parameter stands twice.", "Remove one.", ("OperationParametersContainDuplicateParameter",)
    ),
    "method": Rule("The method is unusual, or cannot be sent.", "Write one of GET, POST, …."),
    "no-content": Rule("The request body names no media type.", "Name one.", ("ConsumesMissing",)),
    "no-such-operation": Rule(
        "An operation is named that does not exist.", "Mend the name.", ("OperationIdNotFound",)
    ),
    "object-parameter": Rule(
        "A parameter is an object, which Swagger 2 cannot say.", "Nothing: it is sent as JSON."
    ),
    "operation-refused": Rule("An operation cannot be called.", "Mend what is named."),
    "parameter": Rule("Something listed as a parameter is none.", "Write name and place."),
    "parameter-place": Rule(
        "The place of a parameter is misspelt; it is understood.",
        "Write query, header, path, formData or body.",
    ),
    "parameter-schema": Rule(
        "A parameter of Swagger 2 is written as in OpenAPI 3.", "Nothing: it is understood."
    ),
    "parameter-style": Rule("A style does not fit the place of its parameter.", "Write one that does."),
    "part": Rule("A part of a channel or message is not there.", "Declare it."),
    "path": Rule("A path does not begin with a slash.", "Write one.", ("OperationPathMustStartWithSlash",)),
    "path-parameter": Rule(
        "Path and path parameters do not fit.",
        "Declare those in the path, and no others.",
        ("OperationMissingPathParameter", "PathParameterNotDefinedInTemplate"),
    ),
    "path-refused": Rule("A path item cannot be found.", "Declare it, or put its file there."),
    "required": Rule("`required` is no boolean.", "Write true or false.", ("JsonTypeIncorrect",)),
    "response": Rule("An answer leads to nothing.", "Declare it."),
    "same-path": Rule(
        "Several operations have one method and one path.",
        "Let a fixed part of the path differ.",
        ("DuplicateOperationPath",),
    ),
    "schema-format": Rule(
        "A message is in a schema language that is not read.", "Nothing: anything is allowed."
    ),
    "several-bodies": Rule(
        "An operation has several bodies.",
        "Remove all but one.",
        ("OperationParametersContainMultipleBodyParameters",),
    ),
}
"""Operations, their inputs and answers."""

TRIGGERS: Final[Mapping[str, Rule]] = {
    "callback": Rule("A callback leads to nothing.", "Declare it."),
    "event-identifier": Rule(
        "What tells events apart is not understood.", "Name a header, or a path in the body."
    ),
    "notification-content": Rule(
        "What is sent to the callback URL is not described.",
        "Add x-ms-notification-content.",
        ("OperationMustHaveNotificationContentExtension",),
    ),
    "notification-unused": Rule(
        "A description of what is sent belongs to no trigger.", "Mark the operation x-ms-trigger."
    ),
    "notification-url": Rule(
        "No field takes the URL that notifications go to.",
        "Mark one x-ms-notification-url.",
        ("WebhookOperationsMissingNotificationUrlProperty",),
    ),
    "policy-parameters": Rule(
        "A policy lacks something, or has it wrong.", "Give what its template asks for."
    ),
    "policy-section": Rule("The section of a policy is not known.", "Write Request, Response or Failure."),
    "policy-template": Rule("A policy template is not known; its operations are degraded.", "Mend its name."),
    "trigger-refused": Rule("A trigger cannot be received.", "Mend what is named."),
}
"""Triggers and policies."""

GROUPS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "The text": TEXT,
    "The document": DOCUMENT,
    "References": REFERENCES,
    "Servers and logins": LOGINS,
    "Operations": OPERATIONS,
    "Triggers and policies": TRIGGERS,
}
RULES: Final[Mapping[str, Rule]] = {code: rule for group in GROUPS.values() for code, rule in group.items()}
