"""The choice among what was measured: a pure function, so that every rule of it can be tested.

A setting is fit when it reaches the target rate, loses no more mAP than allowed and stays within the memory allowed.
Of the fit ones, in this order:

1. those with a tenth more than the target, as heat and other programs take their share; if there is none, all;
2. the fewest threads, as the other cores have work too (without a tenth to spare: the fastest instead);
3. the fastest, where 5 % count as nothing, being less than measurements differ by;
4. the smallest loss of mAP, in thousandths;
5. the smaller file, the less memory, the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.compare.rows import UNSTEADY, counted

SPARE = 1.1
SAME_SPEED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One model with one backend and number of threads, as measured here."""

    name: str  # of the variant
    path: Path
    backend: str  # "cpu", "edgetpu", "gpu"
    num_threads: int
    fps: float  # of the whole pipeline
    drop: float | None  # mAP lost against the parent; None: not known
    rss_bytes: int | None  # most memory of the process
    size_bytes: int
    spread: float = 1.0  # rate of the fastest round over that of the slowest

    @property
    def is_unsteady(self) -> bool:
        """True when its rounds differ by so much that other programs ran."""
        return self.spread > UNSTEADY

    def __str__(self) -> str:
        return f"{self.name} on {self.backend} with {counted(self.num_threads, 'thread')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked for."""

    fps: float
    max_drop: float
    max_rss_bytes: int | None = None


def lacks(setting: Setting, target: Target) -> list[str]:
    """Return what keeps a setting from being fit, in words; empty when it is."""
    found = []
    if setting.fps < target.fps:
        found.append(f"reaches {setting.fps:.1f} frames/s of {target.fps:g}")
    if setting.drop is None:
        found.append("its accuracy is not known")
    elif not _is_within(setting.drop, target.max_drop):
        found.append(f"loses {setting.drop:.3f} mAP, allowed are {target.max_drop:g}")
    if target.max_rss_bytes is not None:
        if setting.rss_bytes is None:
            found.append("its memory is not known")
        elif setting.rss_bytes > target.max_rss_bytes:
            found.append(f"takes {setting.rss_bytes / 1e6:.0f} MB, allowed are {target.max_rss_bytes / 1e6:.0f}")
    return found


def _is_within(drop: float, most: float) -> bool:
    """Return whether a loss is allowed; a billionth more is the rounding of two mAP subtracted."""
    return drop <= most + 1e-9


def choose(settings: Sequence[Setting], target: Target) -> Setting | None:
    """Return the setting to use; None where none is fit."""
    fit = [one for one in settings if not lacks(one, target)]
    if not fit:
        return None
    with_spare = [one for one in fit if one.fps >= SPARE * target.fps]
    pool = with_spare or fit
    if with_spare:
        fewest = min(one.num_threads for one in pool)
        pool = [one for one in pool if one.num_threads == fewest]
    fastest = max(one.fps for one in pool)
    pool = [one for one in pool if one.fps >= SAME_SPEED * fastest]
    return min(pool, key=_rank)


def _rank(setting: Setting) -> tuple[float, int, int, int, str, str]:
    drop = 0.0 if setting.drop is None else round(setting.drop, 3)
    return (drop, setting.num_threads, setting.size_bytes, setting.rss_bytes or 0, setting.name, setting.backend)


def closest(settings: Sequence[Setting], target: Target) -> Setting | None:
    """Return what comes closest: the fastest of those that lack the least; None of no settings."""
    return min(settings, key=lambda one: (len(lacks(one, target)), -one.fps, _rank(one)), default=None)


def reasons(chosen: Setting, settings: Sequence[Setting], target: Target) -> list[str]:
    """Return in plain words why this one was chosen."""
    fit = [one for one in settings if not lacks(one, target)]
    drop = chosen.drop or 0.0
    lost = "loses no mAP" if drop < 0.0005 else f"loses {drop:.3f} mAP"
    limit = "" if target.max_rss_bytes is None else f" and at most {target.max_rss_bytes / 1e6:.0f} MB"
    verb = "reaches" if len(fit) == 1 else "reach"
    said = [
        f"{len(fit)} of {counted(len(settings), 'setting')} {verb} {target.fps:g} frames/s with a loss of at most "
        f"{target.max_drop:g} mAP{limit}.",
        f"{chosen} runs at {chosen.fps:.1f} frames/s and {lost}.",
    ]
    if chosen.fps < SPARE * target.fps:
        said.append(f"None has {SPARE - 1:.0%} to spare, so the fastest was taken; heat may bring it below the target.")
    elif any(one.num_threads > chosen.num_threads for one in fit):
        said.append("Settings with more threads were left: the target is reached without them, and cores stay free.")
    return said


def unsteady_note(settings: Sequence[Setting]) -> str:
    """Return what a reader should know before believing the rates; empty where nothing is wrong with them."""
    noisy = [str(one) for one in settings if one.is_unsteady]
    if not noisy:
        return ""
    whose = f"all {len(noisy)} settings" if 1 < len(noisy) == len(settings) else ", ".join(noisy)
    return (
        f"Rates of {whose} differ by more than {UNSTEADY - 1:.0%} between rounds: other programs ran; tune again on a "
        "quiet board with --fresh."
    )


def advice(settings: Sequence[Setting], target: Target, *, has_integers: bool) -> list[str]:
    """Return what would bring the target nearer, the nearest first.

    Args:
        settings: none of them fit.
        target: what was asked for.
        has_integers: whether one of the models is quantised to integers.
    """
    found = []
    fast = [one for one in settings if one.fps >= target.fps]
    losing = [one for one in fast if one.drop is not None and not _is_within(one.drop, target.max_drop)]
    if losing:
        best = min(losing, key=_rank)
        found.append(f"allow a larger loss: {best} reaches the rate and loses {best.drop:.3f} mAP (--max-drop)")
        found.append("train quantisation-aware, which wins back part of what quantising loses")
    if not has_integers:
        found.append("make an integer variant: edge-runtime optimize")
    if not fast:
        found.append("use a model with a smaller input: half the side is about a quarter of the work")
        found.append("use an accelerator: edge-runtime advise --hardware edgetpu")
    if target.max_rss_bytes is not None and any(one.rss_bytes and one.rss_bytes > target.max_rss_bytes for one in fast):
        found.append("allow more memory (--max-rss); most of it is Python, OpenCV and the engine, whatever the model")
    return found
