"""Downloads against a server that cuts, stalls, corrupts and lies: what has the name of the file is the file."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import ModelError, OutputError
from edge_runtime.filelock import lock
from edge_runtime.registry.download import Patience, Wanted, download, part_files
from tests.registry.conftest import SIZE
from tests.registry.server import TAG, FileServer, Serve

QUICK = Patience(timeout_s=0.3, tries=3, worth_bytes=1000)


class Pauses:
    """Stands in for sleeping; remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def wanted(server: FileServer, **other: Any) -> Wanted:
    facts = {"url": server.url, "size": len(server.data), "sha256": hashlib.sha256(server.data).hexdigest()}
    return Wanted(**{**facts, **other})


def get(server: FileServer, target: Path, *, patience: Patience = QUICK, **other: Any) -> Pauses:
    pauses = Pauses()
    download(wanted(server, **other), target, patience=patience, sleep=pauses)
    return pauses


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_gets_its_name_and_nothing_else_is_left(server: FileServer, tmp_path: Path) -> None:
    seen: list[int] = []
    download(wanted(server), tmp_path / "m.tflite", tick=seen.append)
    assert (tmp_path / "m.tflite").read_bytes() == server.data
    assert files_in(tmp_path) == ["m.tflite"]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, SIZE)
    assert server.requests[0]["User-Agent"].startswith("edge-runtime/")


def test_a_cut_connection_is_taken_up_where_it_broke_off(server: FileServer, tmp_path: Path) -> None:
    """On a weak line a large model would never come whole otherwise."""
    server.plan = [Serve(cut_after=100_000), Serve(cut_after=50_000)]
    pauses = get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == server.data
    assert [one.get("Range") for one in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert [one.get("If-Range") for one in server.requests] == [None, TAG, TAG]
    assert pauses.slept == [1.0, 1.0], "a try that brought something is none in vain"


def test_a_later_call_goes_on_from_what_is_there(server: FileServer, tmp_path: Path) -> None:
    """A board that lost its power, or a user who pressed Ctrl-C."""
    server.plan = [Serve(cut_after=120_000)]
    with pytest.raises(ModelError, match=r"0\.1 of 0\.3 MB are kept, and continued next time"):
        get(server, tmp_path / "m.tflite", patience=Patience(timeout_s=0.3, tries=1, worth_bytes=SIZE))
    assert files_in(tmp_path) == ["m.tflite.part", "m.tflite.part.json"]
    get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == server.data
    assert server.requests[1]["Range"] == "bytes=120000-"


def test_where_nothing_came_nothing_is_left(server: FileServer, tmp_path: Path) -> None:
    """An empty part would only ask its finder what it is."""
    server.plan = [Serve(cut_after=0)]
    with pytest.raises(ModelError, match="cannot be downloaded"):
        get(server, tmp_path / "m.tflite", patience=Patience(timeout_s=0.3, tries=1))
    assert files_in(tmp_path) == []


def test_a_part_of_another_file_is_not_continued(server: FileServer, tmp_path: Path) -> None:
    """The registry may name a newer model under the same name."""
    part, note = part_files(tmp_path / "m.tflite")
    part.write_bytes(b"x" * 1000)
    note.write_text('{"sha256": "that of another"}')
    get(server, tmp_path / "m.tflite")
    assert "Range" not in server.requests[0]
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_server_that_ignores_ranges_sends_all_again(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(cut_after=100_000), Serve(ignores_range=True)]
    get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server: FileServer, tmp_path: Path) -> None:
    """Two halves of two states of a file are neither."""
    server.plan = [Serve(cut_after=100_000, tag='"v0"', changes=True)]
    get(server, tmp_path / "m.tflite")
    assert server.requests[1]["If-Range"] == '"v0"'
    assert len(server.requests) == 2
    assert (tmp_path / "m.tflite").read_bytes() == server.data


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_wrong_halves_are_noticed_and_fetched_once_more(server: FileServer, tmp_path: Path, tag: str | None) -> None:
    """A server that says nothing of the state of its file, as many do."""
    server.plan = [Serve(cut_after=100_000, tag=tag, changes=True), Serve(tag=tag)]
    get(server, tmp_path / "m.tflite")
    assert [one.get("Range") for one in server.requests] == [None, "bytes=100000-", None]
    assert "If-Range" not in server.requests[1]
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_corrupted_file_never_gets_the_name(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(changes=True)]
    with pytest.raises(ModelError, match=r"sha256 .* changed at its source or on the way; nothing was kept"):
        get(server, tmp_path / "m.tflite")
    assert files_in(tmp_path) == []
    assert len(server.requests) == 1, "the same bytes would come again"


def test_what_was_there_stays_until_the_new_one_is_proven(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"old")
    server.plan = [Serve(changes=True)]
    with pytest.raises(ModelError, match="sha256"):
        get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == b"old"
    get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == server.data


@pytest.mark.parametrize(
    ("serve", "answer"),
    [
        (Serve(length=SIZE + 7), f"has {SIZE + 7} bytes, the registry says {SIZE}: it is another one"),
        (Serve(length=SIZE - 7), f"has {SIZE - 7} bytes, the registry says {SIZE}"),
        (Serve(says_length=False, extra=b"more"), f"sends more than the {SIZE} bytes"),
        (Serve(headers={"Content-Encoding": "gzip"}), "sends the file packed"),
        (Serve(status=404), r"there is no such file any more \(404 Not Found\)"),
        (Serve(status=410), "there is no such file any more"),
        (Serve(status=403), "does not give it out"),
    ],
)
def test_what_no_further_try_can_mend_is_an_error_at_once(
    server: FileServer, tmp_path: Path, serve: Serve, answer: str
) -> None:
    server.plan = [serve] * 9
    with pytest.raises(ModelError, match=answer):
        get(server, tmp_path / "m.tflite")
    assert len(server.requests) == 1
    assert not (tmp_path / "m.tflite").exists()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.part")) == 0


def test_an_answer_without_a_length_that_ends_early_is_continued(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(says_length=False, cut_after=10_000)]
    get(server, tmp_path / "m.tflite")
    assert server.requests[1]["Range"] == "bytes=10000-"
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_busy_server_is_asked_again_after_growing_pauses(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(status=500), Serve(status=503)]
    assert get(server, tmp_path / "m.tflite").slept == [1.0, 2.0]
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_server_may_say_how_long_to_wait_but_not_for_ever(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(status=429, headers={"Retry-After": "7"}), Serve(status=503, headers={"Retry-After": "86400"})]
    assert get(server, tmp_path / "m.tflite").slept == [7.0, 30.0]


def test_tries_in_vain_come_to_an_end(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(status=500)] * 99
    with pytest.raises(ModelError, match="the server answers 500 Internal Server Error; try again later"):
        get(server, tmp_path / "m.tflite")
    assert len(server.requests) == QUICK.tries


@pytest.mark.parametrize(
    "serve", [Serve(status=416), Serve(content_range="bytes 5-9/10"), Serve(content_range="nonsense")]
)
def test_a_part_that_is_not_the_one_asked_for_starts_anew(server: FileServer, tmp_path: Path, serve: Serve) -> None:
    """Written behind what is there, it would make a file of the right size."""
    server.plan = [Serve(cut_after=100_000), serve]
    get(server, tmp_path / "m.tflite")
    assert [one.get("Range") for one in server.requests] == [None, "bytes=100000-", None]
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_part_of_a_file_of_another_size_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(cut_after=100_000), Serve(content_range=f"bytes 100000-{SIZE}/{SIZE + 1}")]
    with pytest.raises(ModelError, match="it is another one"):
        get(server, tmp_path / "m.tflite")


def test_a_server_that_falls_silent_is_left_and_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(stall_after=50_000)]
    get(server, tmp_path / "m.tflite")
    assert server.requests[1]["Range"] == "bytes=50000-"
    assert (tmp_path / "m.tflite").read_bytes() == server.data


def test_a_trickle_counts_as_broken_off(server: FileServer, tmp_path: Path) -> None:
    """A byte every ten seconds never meets a time-out, and takes a year."""
    ticking = iter(range(0, 10**9, 600))  # ten minutes pass between two looks at the clock
    with pytest.raises(ModelError, match="bytes a second; try again later"):
        download(
            wanted(server), tmp_path / "m.tflite", patience=Patience(tries=2, worth_bytes=SIZE), sleep=Pauses(),
            clock=lambda: float(next(ticking)),
        )  # fmt: skip


def test_redirects_are_followed_on_this_machine(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(location="/elsewhere/model.tflite")]
    get(server, tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == server.data


@pytest.mark.parametrize(
    ("location", "answer"),
    [
        ("http://example.org/model.tflite", "leads to an address that is not followed"),
        ("ftp://127.0.0.1/model.tflite", "leads to an address that is not followed"),
        ("file:///etc/passwd", r"leads to an address that is not followed \(302 "),
    ],
)
def test_a_redirect_to_an_unsafe_address_is_refused(
    server: FileServer, tmp_path: Path, location: str, answer: str
) -> None:
    server.plan = [Serve(location=location)]
    with pytest.raises(ModelError, match=answer):
        get(server, tmp_path / "m.tflite")


def test_a_ring_of_redirects_ends(server: FileServer, tmp_path: Path) -> None:
    server.plan = [Serve(location=f"/{number}.tflite") for number in range(99)]
    with pytest.raises(ModelError, match="302"):
        get(server, tmp_path / "m.tflite")
    assert len(server.requests) < 10


def test_without_a_network_one_line_says_so_at_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/m.tflite"
    pauses = Pauses()
    with pytest.raises(ModelError) as caught:
        download(Wanted(url, 10, "0" * 64), tmp_path / "m.tflite", sleep=pauses)
    assert "no connection to 127.0.0.1 (Connection refused); is this machine online?" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pauses.slept == []


def test_a_disk_that_cannot_hold_it_is_known_beforehand(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"needs 112589992\d MB, \d+ MB are free; make room"):
        get(server, tmp_path / "m.tflite", size=1 << 50)
    assert server.requests == []
    assert files_in(tmp_path) == []


def test_two_processes_do_not_write_one_file(server: FileServer, tmp_path: Path) -> None:
    part, _ = part_files(tmp_path / "m.tflite")
    with part.open("wb") as held:
        lock(held)
        with pytest.raises(OutputError, match="another process is pulling this model"):
            get(server, tmp_path / "m.tflite")
    assert server.requests == []


def test_a_folder_that_is_not_there_is_named(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"m\.tflite: cannot be written .*choose another folder with --to"):
        get(server, tmp_path / "none" / "m.tflite")
