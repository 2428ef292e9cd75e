"""Compares what was read of a document with the truth beside the shared data. Shares no code with the product."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Line = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """What one document comes to. `miss` says what is wrong, "" when it passes."""

    miss: str = ""
    read: bool = False
    refused_rightly: bool = False
    expected: int = 0
    listed: int = 0
    refused: int = 0
    triggers_expected: int = 0
    triggers: int = 0
    policies_expected: int = 0
    policies: int = 0
    policies_executable: int = 0
    unlisted: list[str] = field(default_factory=list)


def compare(line: Line, truth: Mapping[str, Any] | None) -> Verdict:
    """Judge the line of `connectors read` for one document; without the truth it judges itself."""
    if "error" in line:
        return _of_error(line["error"], truth)
    verdict = Verdict(read=True)
    verdict.refused = sum(one["status"] == "refused" for one in line["operations"])
    verdict.triggers = len(line["triggers"])
    policies = line.get("policies", [])
    verdict.policies = len(policies)
    verdict.policies_executable = sum(not one.get("problem") for one in policies)
    if truth is None:
        verdict.expected = verdict.listed = len(line["operations"])
        verdict.policies_expected = verdict.policies
        return verdict
    _against(line, truth, verdict)
    return verdict


def _of_error(error: Mapping[str, Any], truth: Mapping[str, Any] | None) -> Verdict:
    placed = bool(error["message"]) and bool(error["file"]) and error["line"] > 0 and error["column"] > 0
    if error["code"] == "internal":
        return Verdict(miss=f"crashed: {error['message']}")
    if truth is None:
        return Verdict(refused_rightly=placed, miss="" if placed else f"no place: {error['message']}")
    if truth["parse"] == "broken" or truth["dialect"] in ("other", "postman-environment", "openapi-other"):
        return Verdict(refused_rightly=placed, miss="" if placed else f"no place: {error['message']}")
    return Verdict(miss=f"not read: {error['code']}: {error['message']}", expected=truth.get("operations", 0))


def _against(line: Line, truth: Mapping[str, Any], verdict: Verdict) -> None:
    dialect = truth["dialect"]
    if truth["parse"] == "broken":  # read all the same: as good, with a warning
        verdict.expected = verdict.listed = len(line["operations"])
        verdict.policies_expected = verdict.policies
        verdict.miss = "" if line["findings"] else "broken, but read without a warning"
        return
    if dialect in ("other", "postman-environment"):
        verdict.miss = f"is no API description ({dialect}), but was read"
        return
    misses = []
    if line["dialect"] != dialect:
        misses.append(f"dialect {line['dialect']}, not {dialect}")
    if truth["version"] not in (None, line["version"]) and not dialect.startswith("postman"):
        misses.append(f"version {line['version']!r}, not {truth['version']!r}")
    if truth["parse"] == "lenient" and not line["findings"]:
        misses.append("forgiven without a warning")
    elsewhere = any(one.get("pointer", "").startswith("/servers") for one in line["findings"])
    if truth.get("servers") and not line["servers"] and not elsewhere:
        misses.append("no servers")
    verdict.expected = len(truth["ops"])
    verdict.unlisted = _unlisted(line, truth)
    verdict.listed = verdict.expected - len(verdict.unlisted)
    if verdict.unlisted:
        misses.append(f"{len(verdict.unlisted)} operations neither listed nor named")
    verdict.triggers_expected = sum(
        truth.get(name, 0) for name in ("webhook_operations", "callback_operations", "x_ms_trigger")
    )
    if verdict.triggers < verdict.triggers_expected:
        misses.append(f"{verdict.triggers} triggers of {verdict.triggers_expected}")
    policies = truth.get("power_platform", {}).get("policies", {})
    verdict.policies_expected = sum(policies.values())
    if Counter(one["template"] for one in line.get("policies", [])) != Counter(policies):
        misses.append("other policies")
    verdict.miss = "; ".join(misses)


def _unlisted(line: Line, truth: Mapping[str, Any]) -> list[str]:
    """Return the operations of the truth that are neither listed nor named in a finding."""
    dialect = truth["dialect"]
    if dialect.startswith("asyncapi"):
        have, wanted = _channels(line, truth)
    elif dialect.startswith("postman"):
        have = Counter(
            (shown["method"].strip(), shown["url"], shown["name"] or "")
            for one in line["operations"]
            for shown in one.get("presets", [])
        )
        wanted = Counter((method.strip(), url or "", name or "") for method, url, name in truth["ops"])
    else:
        have = Counter(
            (one["method"].upper(), one["path"], (one["operation_id"] or "").strip())
            for one in line["operations"]
        )
        wanted = Counter((method.upper(), path, (name or "").strip()) for method, path, name in truth["ops"])
    told = "\n".join(one["message"] for one in line["findings"])
    told += "\n".join(reason for one in line["operations"] for reason in one["reasons"])
    return [
        " ".join(str(part) for part in one)
        for one in (wanted - have).elements()
        if not (one[1] and str(one[1]) in told)
    ]


def _channels(line: Line, truth: Mapping[str, Any]) -> tuple[Counter[Any], Counter[Any]]:
    """Return what is there and what should be, by verb: names of channels are resolved by version 3."""
    ours = {"publish": "operations", "receive": "operations", "subscribe": "triggers", "send": "triggers"}
    wanted = Counter((ours[verb], "", "") for verb, _, _ in truth["ops"])
    have = Counter(
        {("triggers", "", ""): len(line["triggers"]), ("operations", "", ""): len(line["operations"])}
    )
    return have, wanted
