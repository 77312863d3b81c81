"""Who has a device open."""

from __future__ import annotations

import os
from pathlib import Path

from edge_runtime.capture.holders import holders


def add_process(proc: Path, number: int, name: str, *targets: str) -> None:
    (proc / str(number) / "fd").mkdir(parents=True)
    (proc / str(number) / "comm").write_text(name + "\n")
    for index, target in enumerate(targets):
        (proc / str(number) / "fd" / str(index)).symlink_to(target)


def test_programs_are_named_with_their_numbers_in_order(tmp_path: Path) -> None:
    """`kill 77` is what the user can do next."""
    add_process(tmp_path, 812, "ffmpeg", "/dev/null", "/dev/video0")
    add_process(tmp_path, 77, "guvcview", "/dev/video0", "/dev/video0")
    add_process(tmp_path, 5, "cat", "/dev/video1")
    (tmp_path / "self").symlink_to(tmp_path / "5")
    (tmp_path / "uptime").touch()

    assert holders(lambda target: target == "/dev/video0", tmp_path) == "guvcview (process 77), ffmpeg (process 812)"


def test_many_programs_are_cut_to_a_line(tmp_path: Path) -> None:
    """A desktop's sound server and browser open every camera there is."""
    for number in range(1, 8):
        add_process(tmp_path, number, "chrome", "/dev/video0")

    assert holders(lambda target: True, tmp_path).endswith("chrome (process 4) and 3 more")


def test_what_may_not_be_seen_or_has_ended_is_left_out(tmp_path: Path) -> None:
    """Processes of others and those that end meanwhile are the rule."""
    (tmp_path / "9").mkdir()
    add_process(tmp_path, 10, "short", "/dev/video0")
    (tmp_path / "10" / "comm").unlink()

    assert holders(lambda target: True, tmp_path) == "a program (process 10)"
    assert holders(lambda target: True, tmp_path / "none") == ""


def test_this_program_is_told_as_itself(tmp_path: Path) -> None:
    """A thread that hangs in the driver keeps the camera open; to look for another program would be in vain."""
    with (tmp_path / "video0").open("wb") as held:
        path = os.path.realpath(held.name)
        assert holders(lambda target: target == path) == "this program itself, in a call that has not come back"
