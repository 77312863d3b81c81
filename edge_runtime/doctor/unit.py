"""The service: what systemd says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings

UNITS = ("edge-runtime.service", "edge-runtime@*.service")
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "UnitFileState",
    "NeedDaemonReload", "WatchdogUSec",
)  # fmt: skip
COMMAND = ("systemctl", "show", *UNITS, f"--property={','.join(PROPERTIES)}")
REASONS = {
    "2": "a setting is wrong",
    "3": "the model cannot be used",
    "4": "the source cannot be read",
    "5": "the engine or its device failed",
    "6": "an output cannot be written",
    "70": "a defect of edge-runtime",
}
"""What an exit code of ours means."""


def check_service(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield how each unit of this program is."""
    del settings
    told = machine.run(COMMAND)
    if told is None:
        yield skipped("systemd", "does not answer here")
        return
    units = [one for one in read_units(told) if one.get("LoadState") not in ("not-found", None)]
    if not units:
        yield skipped("service", "none is installed; edge-runtime run works without")
    for one in units:
        yield check_unit(one)


def read_units(text: str) -> list[dict[str, str]]:
    """Return the properties of each unit that `systemctl show` lists, with empty lines between them."""
    blocks = (block.splitlines() for block in text.split("\n\n"))
    return [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks if block]


def check_unit(unit: Mapping[str, str]) -> Finding:
    """Return whether a unit runs, has run without a fault, and will after the next start of the board."""
    name, state, result = unit.get("Id", "service"), unit.get("ActiveState", ""), unit.get("Result", "success")
    restarts = int(unit["NRestarts"]) if unit.get("NRestarts", "").isdecimal() else 0
    facts = {"active": state, "result": result, "restarts": restarts, "exit_status": unit.get("ExecMainStatus", ""),
             "enabled": unit.get("UnitFileState", ""), "watchdog": unit.get("WatchdogUSec", "")}  # fmt: skip
    journal = f"journalctl -u {name} -n 50 --no-pager"
    if unit.get("LoadState") != "loaded":
        return error(name, f"systemd cannot load it ({unit.get('LoadState')})", "see what is wrong with the file",
                     f"systemd-analyze verify {name}", facts=facts)  # fmt: skip
    if state == "failed" or (state == "activating" and restarts and result != "success"):
        again = f"then: sudo systemctl reset-failed {name} && sudo systemctl start {name}"
        stands = "has failed" if state == "failed" else f"fails again and again, {restarts} times so far"
        return error(name, f"{stands}: {_reason(unit, result)}", f"read why; {again}", journal, facts=facts)
    if unit.get("NeedDaemonReload") == "yes":
        return warning(name, "its file has changed since systemd read it", "",
                       f"sudo systemctl daemon-reload && sudo systemctl restart {name}", facts=facts)  # fmt: skip
    is_enabled = unit.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "linked", "generated")
    if state not in ("active", "activating", "reloading"):
        command = f"sudo systemctl start {name}"
        if is_enabled:
            return warning(name, f"is {state or 'not running'}, though it is enabled", "", command, facts=facts)
        return ok(name, f"is {state or 'not running'} and not enabled", facts=facts)
    said = f"{state} ({unit.get('SubState', '')}), {_watchdog(unit.get('WatchdogUSec', ''))}"
    if restarts:
        return warning(name, f"{said}, started anew {restarts} time{'' if restarts == 1 else 's'} after a fault",
                       "read why", journal, facts=facts)  # fmt: skip
    if not is_enabled:
        return warning(
            name, f"{said}, and does not start with the board", "", f"sudo systemctl enable {name}", facts=facts
        )
    return ok(name, f"{said}, no restarts", facts=facts)


def _reason(unit: Mapping[str, str], result: str) -> str:
    status = unit.get("ExecMainStatus", "")
    if result == "exit-code":
        return f"exit code {status}, {REASONS.get(status, 'see the journal')}"
    words = {"watchdog": "it hung, and its watchdog ended it", "oom-kill": "the memory was not enough",
             "timeout": "it did not start or end in time", "signal": f"signal {status}",
             "core-dump": f"it crashed with signal {status}",
             "start-limit-hit": "it was started too often in a short time"}  # fmt: skip
    return words.get(result, result)


def _watchdog(told: str) -> str:
    return "no watchdog" if told in ("", "0", "infinity") else f"watchdog {told}"
