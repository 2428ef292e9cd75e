"""Reads the folder of a Power Platform connector as one description: definition, properties, script.

The definition is Swagger 2 and is read by its reader. What the platform adds is read over it: connection
parameters and logins, policies, triggers, scripts. A folder without apiProperties.json, or with a broken one,
is still read; without a definition it is not.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from typing_extensions import override

from actions.base import Finding
from actions.specs.files import NoFile
from actions.specs.load import Bundle, Document, load
from actions.specs.model import Preset, Spec
from actions.specs.powerplatform.login import read_connection
from actions.specs.powerplatform.policies import read_policies, read_scripts
from actions.specs.powerplatform.triggers import CONTENT, read_triggers
from actions.specs.powerplatform.words import report_misspelt
from actions.specs.reading import Reader, Reading, near, text
from actions.specs.swagger2 import Swagger, is_swagger

EXTRAS: Final = "power-platform"
"""Under which name `Spec.extras` keeps the rest of the properties, the settings and the script's name."""

_DEFINITION: Final = re.compile(r"api-?def\w*\.swagger\.json|api-?def\w*\.json", re.IGNORECASE)
_SWAGGER: Final = re.compile(r".+\.swagger\.json", re.IGNORECASE)
_PROPERTIES: Final = re.compile(r"api-?prop\w*\.json", re.IGNORECASE)
_MARKS: Final = ("x-ms-connector-metadata", "x-ms-capabilities")
_OWN: Final = ("connectionParameters", "connectionParameterSets", "policyTemplateInstances", "iconBrandColor")
_READ: Final = frozenset({*_OWN[:3], "scriptOperations"})


class PowerPlatformReader(Reader):
    """A connector's folder, whichever of its files is the root."""

    kind = "powerplatform"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        value = bundle.root.value
        if not is_swagger(value):
            return _is_properties(value)
        name = bundle.root.name.rpartition("/")[2]
        marked = _DEFINITION.fullmatch(name) is not None or any(mark in value for mark in _MARKS)
        return marked or _sibling(bundle, _PROPERTIES) is not None or _has_triggers(value)

    @override
    def read(self, bundle: Bundle) -> Spec:
        folder = _folder(bundle)
        definition = folder.definition
        if definition is None or not is_swagger(definition.value):
            found = _no_definition(bundle, definition)
            return _Connector(bundle, folder, Document(name="", value={})).alone(found)
        return _Connector(bundle, folder, definition).spec()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """The files of a connector. `script` is the name of its C#, "" where there is none."""

    definition: Document | None
    properties: Document | None
    settings: Any
    script: str


class _Connector:
    """One reading of one folder."""

    def __init__(self, bundle: Bundle, folder: _Folder, definition: Document) -> None:
        self._folder = folder
        self._root: dict[str, Any] = definition.value
        self._bundle = Bundle(root=definition, files=bundle.files)
        self._beside = folder.properties or Document(name="", value={})
        self._reading = Reading(Bundle(root=replace(self._beside, findings=())))
        value = self._beside.value
        given = self._reading.mapping(value, "") if value is not None else {}
        self._properties: Mapping[str, Any] = self._reading.mapping(given.get("properties"), "/properties")

    def spec(self) -> Spec:
        """Read everything."""
        connection = read_connection(self._reading, self._properties)
        swagger = Swagger(self._bundle, login=connection.login)
        spec = connection.applied(swagger.spec())
        spec = read_policies(self._reading, self._properties, spec)
        spec = read_scripts(self._reading, self._properties, spec, self._folder.script)
        spec = read_triggers(swagger.reading, self._root, spec)
        spec = replace(spec, test=self._test(swagger.reading, spec))
        report_misspelt(swagger.reading, self._root)
        rest = {key: value for key, value in self._properties.items() if key not in _READ}
        if self._folder.settings is not None:
            rest["settings"] = self._folder.settings
        if self._folder.script:
            rest["scriptFile"] = self._folder.script
        extras = {**spec.extras, EXTRAS: rest} if rest else spec.extras
        findings = (*swagger.reading.finish(), *self._of_properties())
        return replace(spec, extras=extras, findings=findings)

    def alone(self, findings: tuple[Finding, ...]) -> Spec:
        """Read the properties without their definition, which `findings` tell about."""
        connection = read_connection(self._reading, self._properties)
        spec = connection.applied(Spec(dialect="swagger2"))
        spec = read_policies(self._reading, self._properties, spec)
        return replace(spec, findings=(*findings, *self._of_properties()))

    def _of_properties(self) -> Iterator[Finding]:
        """Yield what was found in the properties; none of it makes the description unreadable."""
        if self._folder.properties is None:
            if _DEFINITION.fullmatch(self._bundle.root.name.rpartition("/")[2]):
                message = (
                    "there is no apiProperties.json beside it: logins and policies are as the definition says"
                )
                found = Finding(severity="info", code="no-properties", message=message)
                yield from self._bundle.root.place([found])
            return
        for one in (*self._beside.findings, *self._reading.finish()):
            severity = "warning" if one.severity == "error" else one.severity
            yield msgspec.structs.replace(one, severity=severity)

    def _test(self, reading: Reading, spec: Spec) -> Preset | None:
        """Return the declared way to try a connection."""
        pointer = "/x-ms-capabilities"
        capabilities = reading.mapping(self._root.get("x-ms-capabilities"), pointer)
        declared = reading.mapping(capabilities.get("testConnection"), f"{pointer}/testConnection")
        if not declared:
            return None
        name = text(declared.get("operationId"))
        found = spec.find(name)
        if found is None:
            message = f"testConnection names the operation {name[:80]!r}, which does not exist"
            reading.add(
                "no-such-operation", message + near(name, spec.operations), f"{pointer}/testConnection"
            )
            return None
        given = reading.mapping(declared.get("parameters"), f"{pointer}/testConnection/parameters")
        return Preset(name=found.id, arguments=given)


# Finding the files


def _is_properties(value: Any) -> bool:
    if not isinstance(value, dict) or "$schema" in value or "type" in value:
        return False
    properties = value.get("properties")
    return isinstance(properties, dict) and any(key in properties for key in _OWN)


def _has_triggers(root: Mapping[str, Any]) -> bool:
    paths = root.get("paths")
    items = [one for one in paths.values() if isinstance(one, dict)] if isinstance(paths, dict) else []
    return any(
        CONTENT in item or any(isinstance(one, dict) and "x-ms-trigger" in one for one in item.values())
        for item in items
    )


def _beside(bundle: Bundle) -> Iterator[str]:
    """Yield the paths of the files in the folder of the root document, in the order of their names."""
    folder = bundle.root.name.rpartition("/")[0]
    yield from sorted(name for name in bundle.files if name.rpartition("/")[0] == folder)


def _sibling(bundle: Bundle, pattern: re.Pattern[str]) -> str | None:
    return next((name for name in _beside(bundle) if pattern.fullmatch(name.rpartition("/")[2])), None)


def _read(bundle: Bundle, name: str | None) -> Document | None:
    if name is None:
        return None
    try:
        return load(name, bundle.files[name], max_bytes=bundle.max_bytes)
    except NoFile as reason:
        found = Finding(severity="error", code="unreadable", message=str(reason), file=name, line=1, column=1)
        return Document(name=name, value=None, findings=(found,))


def _folder(bundle: Bundle) -> _Folder:
    """Return the files of the folder that the root document lies in."""
    settings_file = next((name for name in _beside(bundle) if name.lower().endswith("settings.json")), None)
    settings = _read(bundle, settings_file)
    named = settings.value if settings and isinstance(settings.value, dict) else {}
    is_definition = is_swagger(bundle.root.value)
    definition = bundle.root if is_definition else _read(bundle, _definition(bundle, named))
    properties = _read(bundle, _sibling(bundle, _PROPERTIES)) if is_definition else bundle.root
    script = next((name for name in _beside(bundle) if _is_script(bundle, name)), "")
    return _Folder(definition=definition, properties=properties, settings=named or None, script=script)


def _is_script(bundle: Bundle, name: str) -> bool:
    """Say whether a file is a script with something in it. Opened, so that it is kept with the rest."""
    if not name.lower().endswith(".csx"):
        return False
    try:
        return bool(bundle.files[name].strip())
    except NoFile:  # too large to be opened is not empty
        return True


def _definition(bundle: Bundle, settings: Mapping[str, Any]) -> str | None:
    """Return the path of the definition beside apiProperties.json; its name varies."""
    folder = bundle.root.name.rpartition("/")[0]
    wanted = text(settings.get("apiDefinition"))
    path = f"{folder}/{wanted}" if folder else wanted
    if wanted and path in bundle.files:
        return path
    return _sibling(bundle, _DEFINITION) or _sibling(bundle, _SWAGGER)


def _no_definition(bundle: Bundle, definition: Document | None) -> tuple[Finding, ...]:
    if definition is None:
        message = "there is no apiDefinition.swagger.json beside it"
    elif definition.value is None:
        return definition.findings
    else:
        message = f"{definition.name} is no Swagger 2"
    root = definition or bundle.root
    found = Finding(severity="error", code="no-definition", message=message, pointer="")
    return root.place([found])
