"""One line of the doctor, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

OK, WARNING, ERROR, SKIPPED = "ok", "warning", "error", "skipped"
STATUSES = (OK, WARNING, ERROR, SKIPPED)
"""SKIPPED is what this machine does not tell, or does not have and does not need."""
SCHEMA = 1
NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at the machine found."""

    name: str  # what was looked at: "numpy", "/dev/video0"
    status: str  # one of STATUSES
    said: str  # what was found
    advice: str = ""  # what to do, in words
    command: str = ""  # what to type; empty where no command mends it
    facts: Mapping[str, Any] = field(default_factory=lambda: NO_FACTS)  # the same for programs; units end the names


def ok(name: str, said: str, *, facts: Mapping[str, Any] = NO_FACTS) -> Finding:
    """Return a finding that all is well."""
    return Finding(name, OK, said, facts=facts)


def skipped(name: str, said: str, *, facts: Mapping[str, Any] = NO_FACTS) -> Finding:
    """Return a finding about what cannot be known here, or is not needed."""
    return Finding(name, SKIPPED, said, facts=facts)


def warning(
    name: str, said: str, advice: str = "", command: str = "", *, facts: Mapping[str, Any] = NO_FACTS
) -> Finding:
    """Return a finding that does not stop a run."""
    return Finding(name, WARNING, said, advice, command, facts)


def error(name: str, said: str, advice: str = "", command: str = "", *, facts: Mapping[str, Any] = NO_FACTS) -> Finding:
    """Return a finding that stops a run, or harms the board or its records."""
    return Finding(name, ERROR, said, advice, command, facts)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, by section."""

    sections: Mapping[str, tuple[Finding, ...]]

    @property
    def has_passed(self) -> bool:
        """Whether there is no error."""
        return self.count(ERROR) == 0

    def count(self, status: str) -> int:
        """Return how many findings have this status."""
        return sum(one.status == status for findings in self.sections.values() for one in findings)

    def record(self, version: str, wall_time: float) -> dict[str, Any]:
        """Return the same for JSON, as `schema-1.json` beside this file describes it.

        Args:
            version: of this program.
            wall_time: seconds since 1970.
        """
        moment = datetime.fromtimestamp(wall_time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        findings = [
            {
                "section": section,
                "name": one.name,
                "status": one.status,
                "said": one.said,
                "advice": one.advice,
                "command": one.command,
                "facts": dict(one.facts),
            }
            for section, found in self.sections.items()
            for one in found
        ]
        counts = {status: self.count(status) for status in STATUSES}
        head = {"type": "doctor", "schema": SCHEMA, "time": moment, "version": version, "passed": self.has_passed}
        return {**head, "counts": counts, "findings": findings}
