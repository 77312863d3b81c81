"""The page: one file, whole, readable, and with nothing of others in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from edge_runtime.compare.rows import Comparison
from tests.compare.made import comparison, row, three_variants

pytest.importorskip("matplotlib", reason="the report needs the extra evaluate")

from edge_runtime.compare import pictures
from edge_runtime.compare.pictures import INK, accuracy_over_latency, latencies, size_bars
from edge_runtime.compare.report import html

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Collects ids and addresses, and fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere() -> None:
    """It is read on a phone beside the board, without a network."""
    page = html(three_variants())
    checker = checked(page)
    assert all(address.startswith("#") for address in checker.addresses)
    assert len(checker.ids) == len(set(checker.ids))
    assert not re.search(r"url\((?!#)|@import|<script|<link", page)
    assert page.count("<svg") == 3


def test_it_fits_a_phone_and_the_dark() -> None:
    page = html(three_variants())
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert INK not in page
    assert "currentColor" in page
    assert not re.search(r"<svg[^>]* (width|height)=", page), "the page says how wide a picture is"


def test_names_and_reasons_are_text_and_not_markup() -> None:
    page = html(three_variants())
    assert "<torn>" not in page
    assert "&lt;torn&gt;: is not a TFLite model &amp; never was" in page


def test_the_same_comparison_makes_the_same_page() -> None:
    """Two reports can be compared line by line."""
    assert html(three_variants()) == html(three_variants())


@pytest.mark.parametrize(
    "found",
    [
        comparison(row("parent", map=None), row("a", map=None, output_error=0.1), dataset=None),
        comparison(row("parent"), row("a", p50_ms={1: 900.0, 2: 500.0}, p90_ms={1: 901.0, 2: 501.0})),
        comparison(row("parent", p50_ms={1: 3.0}, p90_ms={1: 3.0}), threads=(1,)),
        comparison(row("parent", p50_ms={}, p90_ms={}, map=None), row("a" * 60, zstd_bytes=None)),
        comparison(row("parent"), *(row(f"v{number}") for number in range(20))),
    ],
    ids=["no accuracy", "decades apart", "one thread", "parent failed", "many"],
)
def test_every_kind_of_comparison_can_be_drawn(found: Comparison) -> None:
    page = html(found)
    checked(page)
    assert page.count("<tr ") == len(found.rows)


def test_names_stand_apart_from_one_another_and_from_every_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names on top of each other are none; twenty variants of one model lie close together."""
    points: list[Any] = []
    names: list[Any] = []

    def noted(spot: Any, size: Any, taken: Sequence[Any], inside: Any) -> Any:
        points[:] = taken[:21]
        names.append(free_place(spot, size, taken, inside))
        return names[-1]

    free_place = pictures._free_place
    monkeypatch.setattr(pictures, "_free_place", noted)
    close = [row(f"variant{number}", map=0.7 + number / 1000, p50_ms={1: 5 + number / 50}) for number in range(20)]
    accuracy_over_latency(comparison(row("parent"), *close, threads=(1,)))
    assert len(names) == 21
    for at, name in enumerate(names):
        assert not any(pictures._overlap(name, other) for other in [*points, *names[:at]])


def test_a_logarithmic_axis_says_so_and_has_no_bars() -> None:
    """A bar on it begins nowhere: twice as long is not twice as slow."""
    slow = row("slow", p50_ms={1: 900.0, 2: 500.0}, p90_ms={1: 901.0, 2: 501.0})
    apart, near = latencies(comparison(row("parent"), slow)), latencies(three_variants())
    assert apart is not None
    assert near is not None
    assert "(logarithmic)" in apart
    assert "(logarithmic)" not in near


def test_the_page_names_processor_engine_and_versions() -> None:
    page = html(three_variants(cpu="Cortex-A76, 4 cores, aarch64", software="edge-runtime 1.0.0, Python 3.13.5"))
    for said in ("Cortex-A76, 4 cores", "litert 2.3.0", "edge-runtime 1.0.0, Python 3.13.5", "Test board"):
        assert said in page


def test_pictures_of_nothing_are_left_out() -> None:
    nothing = comparison(row("parent", p50_ms={}, p90_ms={}, map=None))
    assert accuracy_over_latency(nothing) is None
    assert latencies(nothing) is None
    assert size_bars(nothing).startswith("<svg")
