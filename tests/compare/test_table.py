"""What a reader sees: on a terminal, in a file, in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

import pytest

from edge_runtime.compare.run import notes
from edge_runtime.compare.table import as_csv, body, colored, headings, plain
from tests.compare.made import comparison, row, three_variants


def test_columns_stand_below_their_heads() -> None:
    lines = body(three_variants())
    assert lines[2].split() == [
        "int8", "0.690", "0.900", "0.010", "5.00/5.50", "4.00/4.40", "50", "200", "100", "3.00x", "2.00x",
    ]  # fmt: skip
    end = lines[0].index("zstd kB") + len("zstd kB")
    assert all(line[end - 1] != " " and line[end : end + 1].isspace() for line in lines)
    assert lines[1].endswith("-")
    assert lines[3].split()[1:7] == ["-", "-", "-", "-", "-", "-"]


def test_a_variant_that_failed_has_its_reason_below() -> None:
    text = plain(three_variants(notes=["The board is hot."]))
    assert "<torn>: is not a TFLite model & never was" in text
    assert "The board is hot." in text
    assert "\nboard     Test board\n" in text


def test_a_long_reason_is_cut_on_the_terminal() -> None:
    text = plain(comparison(row("parent"), row("x", reason="word " * 200)))
    assert max(map(len, text.splitlines())) < 300


def test_without_accuracy_the_error_stands_in_its_place() -> None:
    found = comparison(row("parent", map=None), row("int8", map=None, output_error=0.01234), dataset=None)
    assert headings(found)[:2] == ["variant", "error"]
    assert body(found)[2].split()[1] == "0.0123"
    assert "mAP" not in plain(found)


def test_a_loss_of_nothing_has_no_sign() -> None:
    assert "-0.000" not in plain(comparison(row("parent"), row("a", drop=-0.0001)))


def test_a_speed_within_noise_is_marked_and_the_mark_explained() -> None:
    """Whoever reads 1.04x takes it for a gain."""
    found = comparison(row("parent"), row("same", p50_ms={1: 9.6, 2: 6.0}), row("fast", p50_ms={1: 5.0, 2: 3.0}))
    assert [line.split()[-1] for line in body(found)[2:]] == ["~1.04x", "2.00x"]
    assert "~: within noise" in plain(found)
    assert "~: within noise" not in plain(three_variants())


def test_every_row_that_the_page_calls_unsteady_has_the_mark() -> None:
    """A warning below the table and a bare figure in it contradict each other."""
    times = {"parent": (2.0, 2.1, 2.0), "int8": (1.0, 1.1, 4.0), "prune": (1.0, 1.1, 1.0)}
    rows = [row(name, p50_ms={1: sorted(found)[1]}, rounds_ms={1: found}) for name, found in times.items()]
    found = comparison(*rows, threads=(1,), notes=notes(rows, ()))
    assert "Times of int8 differ by more than 25%" in plain(found)
    assert [line.split()[-1] for line in body(found)[2:]] == ["~1.91x", "2.00x"]


def test_the_head_names_processor_engine_and_versions() -> None:
    """A time says nothing without them."""
    text = plain(three_variants(cpu="Cortex-A76, 4 cores, aarch64", software="edge-runtime 1.0.0, Python 3.13.5"))
    for said in ("cpu       Cortex-A76, 4 cores", "engine    litert 2.3.0", "software  edge-runtime 1.0.0", "m.parent"):
        assert said in text


def test_a_single_invoke_is_no_plural() -> None:
    assert "; 1 invoke of each" in plain(three_variants(num_runs=1))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A wrapped table cannot be read: columns go instead, and it says which."""
    pytest.importorskip("rich", reason="the table of a terminal needs the extra evaluate")
    found = comparison(row("parent"), *(row(f"trained_cluster{number}") for number in range(3)))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", colored(found, width))
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    table = next(line for line in shown.splitlines() if line.startswith("variant"))
    assert "mAP" in table
    assert table.rstrip().endswith("faster")
    assert ("No room for mAP50" in shown) == ("mAP50" not in table) == (width < 120)


def test_a_terminal_gets_the_same_cells() -> None:
    pytest.importorskip("rich", reason="the table of a terminal needs the extra evaluate")
    found = three_variants()
    wide = re.sub(r"\x1b\[[0-9;]*m", "", colored(found, 160))
    for line in body(found):
        assert line.split() == next(one.split() for one in wide.splitlines() if one.split() == line.split())


def test_csv_holds_raw_numbers_and_every_row() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(three_variants()))))
    assert [one["name"] for one in rows] == ["parent", "int8", "<torn>"]
    assert float(rows[1]["p50_ms_1_threads"]) == 5
    assert float(rows[1]["speed_ratio_2_threads"]) == 1.5
    assert rows[1]["is_noise_1_threads"] == "0"
    assert float(rows[1]["size_ratio"]) == 2
    assert (rows[2]["map"], rows[2]["reason"]) == ("", "is not a TFLite model & never was")
