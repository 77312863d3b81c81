"""What a reader sees: on a terminal, in a file, in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

import pytest

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
    assert text.startswith("board     Test board\n")


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


def test_a_terminal_gets_the_same_cells_and_a_narrow_one_plain_text() -> None:
    pytest.importorskip("rich", reason="the table of a terminal needs the extra evaluate")
    found = three_variants()
    wide = re.sub(r"\x1b\[[0-9;]*m", "", colored(found, 160))
    for line in body(found):
        assert line.split() == next(one.split() for one in wide.splitlines() if one.split() == line.split())
    assert colored(found, 40) == plain(found)


def test_csv_holds_raw_numbers_and_every_row() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(three_variants()))))
    assert [one["name"] for one in rows] == ["parent", "int8", "<torn>"]
    assert float(rows[1]["p50_ms_1_threads"]) == 5
    assert float(rows[1]["speed_ratio_2_threads"]) == 1.5
    assert float(rows[1]["size_ratio"]) == 2
    assert (rows[2]["map"], rows[2]["reason"]) == ("", "is not a TFLite model & never was")
