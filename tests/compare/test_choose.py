"""The choice: every rule of it, on settings that no board needs to have."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.compare.choose import (
    SAME_SPEED,
    SPARE,
    Setting,
    Target,
    advice,
    choose,
    closest,
    lacks,
    reasons,
    unsteady_note,
)
from tests.compare.made import setting

MB = 1_000_000
EASY = Target(fps=10, max_drop=0.01)

some_settings = st.lists(
    st.builds(
        setting,
        name=st.sampled_from(["parent", "int8", "float16", "qat"]),
        backend=st.sampled_from(["cpu", "gpu"]),
        num_threads=st.sampled_from([1, 2, 4]),
        fps=st.floats(0.1, 100),
        drop=st.none() | st.floats(-0.1, 0.3),
        rss_bytes=st.none() | st.integers(20 * MB, 300 * MB),
        size_bytes=st.integers(1000, 10 * MB),
    ),
    max_size=12,
)
some_target = st.builds(
    Target,
    fps=st.floats(0.1, 100),
    max_drop=st.floats(0, 0.2),
    max_rss_bytes=st.none() | st.integers(20 * MB, 300 * MB),
)


@given(some_settings, some_target)
def test_what_is_chosen_keeps_every_limit(settings: list[Setting], target: Target) -> None:
    """Whatever was measured: a setting over a limit is never chosen, and one that keeps all is never missed."""
    chosen = choose(settings, target)
    fit = [one for one in settings if not lacks(one, target)]
    assert (chosen is None) == (not fit)
    if chosen is not None:
        assert chosen in fit
        assert chosen.fps >= target.fps
        assert chosen.drop is not None
        assert chosen.drop <= target.max_drop + 1e-9
        assert target.max_rss_bytes is None or (chosen.rss_bytes or 0) <= target.max_rss_bytes


@given(some_settings, some_target, st.randoms())
def test_the_order_of_measuring_changes_nothing(settings: list[Setting], target: Target, random: object) -> None:
    shuffled = list(settings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose(shuffled, target) == choose(settings, target)


@given(some_settings, some_target)
def test_no_setting_with_fewer_threads_and_a_tenth_to_spare_is_passed_over(
    settings: list[Setting], target: Target
) -> None:
    chosen = choose(settings, target)
    spare = [one for one in settings if not lacks(one, target) and one.fps >= SPARE * target.fps]
    if chosen is None or not spare:
        return
    assert chosen.num_threads == min(one.num_threads for one in spare)
    rivals = [one.fps for one in spare if one.num_threads == chosen.num_threads]
    assert chosen.fps >= SAME_SPEED * max(rivals)


@given(some_settings, some_target)
def test_an_easier_target_never_loses_the_choice(settings: list[Setting], target: Target) -> None:
    if choose(settings, target) is not None:
        easier = dataclasses.replace(target, max_drop=target.max_drop + 0.1, max_rss_bytes=None, fps=target.fps / 2)
        assert choose(settings, easier) is not None


@given(some_settings, some_target)
def test_there_is_always_something_to_say(settings: list[Setting], target: Target) -> None:
    """Neither the reasons nor the advice may fail on anything that can be measured."""
    chosen = choose(settings, target)
    if chosen is not None:
        assert chosen.name in " ".join(reasons(chosen, settings, target))
    elif settings:
        near = closest(settings, target)
        assert near is not None
        assert lacks(near, target)
    assert all(advice(settings, target, has_integers=False))


def test_nothing_is_closest_where_nothing_was_measured() -> None:
    assert closest([], EASY) is None
    assert choose([], EASY) is None


def test_fewer_threads_beat_speed_that_nobody_needs() -> None:
    """The camera, the encoder and the network want cores, too."""
    slow, fast = setting(num_threads=1, fps=15), setting(num_threads=4, fps=50)
    assert choose([fast, slow], EASY) is slow
    assert "cores stay free" in " ".join(reasons(slow, [fast, slow], EASY))


def test_a_single_setting_is_no_plural() -> None:
    assert reasons(setting(), [setting()], EASY)[0].startswith("1 of 1 setting reaches 10 frames/s")
    assert reasons(setting(), [setting(), setting()], EASY)[0].startswith("2 of 2 settings reach 10 frames/s")


def test_without_a_tenth_to_spare_the_fastest_is_taken() -> None:
    """A setting that just meets the target fails it on the first warm day."""
    tight, faster = setting(num_threads=1, fps=10.1), setting(num_threads=2, fps=10.8)
    assert choose([tight, faster], EASY) is faster
    assert "heat" in " ".join(reasons(faster, [tight, faster], EASY))
    roomy = setting(num_threads=2, fps=11.0)
    assert choose([tight, roomy], EASY) is roomy


def test_speeds_within_five_percent_are_equal_and_the_more_accurate_wins() -> None:
    quick, exact = setting("int8", fps=20, drop=0.008), setting("float16", fps=19.2, drop=0.001)
    assert choose([quick, exact], EASY) is exact
    assert choose([quick, dataclasses.replace(exact, fps=18.9)], EASY) is quick


def test_a_loss_that_shows_only_beyond_the_third_digit_is_none_and_the_smaller_file_wins() -> None:
    big, small = setting("a", drop=0.0011, size_bytes=400), setting("b", drop=0.0013, size_bytes=300)
    assert choose([big, small], EASY) is small
    thrifty = setting("c", drop=0.0012, size_bytes=300, rss_bytes=10 * MB)
    assert choose([big, small, thrifty], EASY) is thrifty
    assert choose([setting("z"), setting("a")], EASY).name == "a"  # type: ignore[union-attr]


def test_a_variant_better_than_its_parent_is_no_offence() -> None:
    """Training quantisation-aware may win a little."""
    assert lacks(setting(drop=-0.02), Target(fps=10, max_drop=0)) == []


def test_a_loss_of_exactly_the_limit_is_allowed() -> None:
    """0.7031 - 0.6931 is a little more than 0.01 in binary."""
    assert lacks(setting(drop=0.7031 - 0.6931), EASY) == []


def test_what_is_not_known_is_never_assumed() -> None:
    target = Target(fps=10, max_drop=0.01, max_rss_bytes=100 * MB)
    assert lacks(setting(drop=None), target) == ["its accuracy is not known"]
    assert lacks(setting(rss_bytes=None), target) == ["its memory is not known"]
    assert lacks(setting(rss_bytes=101 * MB), target) == ["takes 101 MB, allowed are 100"]


def test_closest_lacks_the_least_and_is_the_fastest_of_these() -> None:
    slow, slower = setting("a", fps=8), setting("b", fps=5)
    wrong = setting("c", fps=9, drop=0.5)
    assert closest([slower, wrong, slow], EASY) is slow


def test_rates_that_should_not_be_believed_are_named() -> None:
    """Settings chosen on a busy board are those of a busy board."""
    steady, noisy = setting("float16", spread=1.25), setting(spread=1.3)
    assert unsteady_note([steady]) == ""
    assert unsteady_note([steady, noisy]).startswith("Rates of int8 on cpu with 1 thread differ by more than 25%")
    assert unsteady_note([noisy, noisy]).startswith("Rates of all 2 settings differ")


def test_advice_names_the_way_that_is_open() -> None:
    losing = advice([setting(fps=30, drop=0.05), setting("parent", fps=5)], EASY, has_integers=True)
    assert losing[0].startswith("allow a larger loss: int8 on cpu with 1 thread")
    assert "quantisation-aware" in losing[1]
    slow = " ".join(advice([setting("parent", fps=5)], EASY, has_integers=False))
    assert "integer variant" in slow
    assert "smaller input" in slow
    assert "accelerator" in slow
    target = Target(fps=10, max_drop=0.01, max_rss_bytes=50 * MB)
    assert "--max-rss" in " ".join(advice([setting()], target, has_integers=True))
