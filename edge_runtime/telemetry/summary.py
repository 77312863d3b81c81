"""A telemetry record as text: one line for the log, a table for the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("p50", "p90", "p95", "p99", "max")


def summary_line(record: Mapping[str, Any]) -> str:
    """Return the record as key=value in one line; what was not measured is left out."""
    return "summary " + " ".join(f"{key}={value}" for key, value in _pairs(record) if value is not None)


def status_line(record: Mapping[str, Any]) -> str:
    """Return the record as a few words for who looks at a service: rate, latency, temperature, throttling."""
    rate, latency_ms, celsius = record["fps"]["inference"], record["latency_ms"], record["temperature_celsius"]
    words = ["no frames" if rate is None else f"{rate:.1f} FPS"]
    if latency_ms:
        words.append(f"p95 {latency_ms['p95']:.0f} ms")
    if celsius is not None:
        words.append(f"{celsius:.0f} °C")
    if record["throttled"] is not None:
        words += [name.replace("_", " ") for name in _raised(record["throttled"]["now"])]
    return ", ".join(words)


def _pairs(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "window_s", _rounded(record["window_s"], 1)
    yield from record["frames"].items()
    yield from ((f"{name}_fps", _rounded(rate, 1)) for name, rate in record["fps"].items())
    latency_ms = record["latency_ms"] or {}
    yield from ((f"latency_{name}_ms", _rounded(latency_ms.get(name), 1)) for name in ("p50", "p95", "p99"))
    invoke_ms = record["stages_ms"].get("invoke") or {}
    yield "invoke_p50_ms", _rounded(invoke_ms.get("p50"), 1)
    yield from ((key, record[key]) for key in ("rss_bytes", "cpu_percent", "temperature_celsius", "frequency_hz"))
    if record["throttled"] is not None:
        now, before = (_raised(record["throttled"][when]) for when in ("now", "since_boot"))
        yield "throttled", ",".join(now) or "no"
        yield "throttled_since_boot", ",".join(before) or None


def final_table(record: Mapping[str, Any]) -> str:
    """Return the record as a table of plain text, at most 80 columns wide."""
    lines = [f"{record['scope']} of {record['window_s']:,.1f} s on {record['board']}"[:80], ""]
    lines += [f"{name:<12}{text}" for name, text in _facts(record)]
    rows = [(stage, durations) for stage, durations in record["stages_ms"].items() if durations]
    if record["latency_ms"]:
        rows.append(("capture to result", record["latency_ms"]))
    if rows:
        lines += ["", f"{'milliseconds':<20}" + "".join(f"{column:>12}" for column in COLUMNS)]
        lines += [f"{stage:<20.19}" + "".join(f"{each[column]:>12,.2f}" for column in COLUMNS) for stage, each in rows]
    return "\n".join(lines)


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    frames, fps = record["frames"], record["fps"]
    share = f" ({100 * frames['dropped'] / frames['captured']:.1f} %)" if frames["dropped"] else ""
    yield (
        "frames",
        f"captured {frames['captured']:,}, processed {frames['processed']:,}, "
        + (f"dropped {frames['dropped']:,}{share}"),
    )
    rest = frames["captured"] - frames["processed"] - frames["dropped"]
    if record["scope"] == "run" and rest > 0:
        yield "", f"{rest:,} more {'was' if rest == 1 else 'were'} on the way to the model when the run ended"
    rates = ", ".join(f"{name} {rate:,.1f}" for name, rate in fps.items() if rate is not None)
    if rates:
        yield "per second", rates
    used = [
        f"{name} {record[key] / 1024**2:,.1f} MiB"
        for name, key in (("now", "rss_bytes"), ("peak", "peak_rss_bytes"))
        if record[key] is not None
    ]
    if used:
        yield "memory", ", ".join(used)
    if record["cpu_percent"] is not None:
        yield "processor", f"{record['cpu_percent']:,.0f} % of one core"
    state = ", ".join(_board_state(record))
    if state:
        yield "board", state


def _board_state(record: Mapping[str, Any]) -> Iterator[str]:
    if record["temperature_celsius"] is not None:
        yield f"{record['temperature_celsius']:.1f} °C"
    if record["frequency_hz"] is not None:
        yield f"{record['frequency_hz'] / 1e9:.2f} GHz"
    if record["throttled"] is not None:
        now, before = (_raised(record["throttled"][when]) for when in ("now", "since_boot"))
        ended = [name for name in before if name not in now]
        yield " and ".join(name.replace("_", " ") for name in now) + " now" if now else "not throttled now"
        if ended:
            yield "earlier " + " and ".join(name.replace("_", " ") for name in ended)


def _raised(flags: Mapping[str, bool | None]) -> list[str]:
    return [name for name, is_raised in flags.items() if is_raised]


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
