"""``edge-runtime models``: from the list to a model that runs by its name, with a server on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.program import Done
from tests.registry.server import FileServer, Serve, serving

Edge = Callable[..., Done]


@pytest.fixture
def server(model: Path) -> Iterator[FileServer]:
    with serving(model.read_bytes()) as started:
        yield started


@pytest.fixture
def models(edge: Edge, server: FileServer, tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs `edge-runtime models` with a registry of one model and a home of its own."""
    facts = {
        "name": "finder", "url": server.url, "sha256": hashlib.sha256(server.data).hexdigest(),
        "size": len(server.data), "licence": "MIT", "family": "ssd_postprocess", "input": "32x32 uint8", "classes": 3,
        "page": "https://example.org/finder", "suited": "tests",
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in facts.items()]
    (tmp_path / "own.toml").write_text("\n".join(["[[model]]", *lines]))
    proxies = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

    def run(*args: object) -> Done:
        variables = {"XDG_DATA_HOME": str(tmp_path / "data"), **proxies}
        return edge("models", *args, "--registry", "own.toml", variables=variables)

    return run


def test_a_model_is_pulled_listed_verified_used_and_removed(
    edge: Edge, models: Callable[..., Done], server: FileServer, pictures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "data" / "edge-runtime" / "models" / "finder.tflite"
    assert "0 of 1" in models("list").out
    done = models("pull", "finder", "-q")
    assert (done.code, done.err) == (0, "")
    assert "sha256 right" in done.out
    assert "licence MIT, https://example.org/finder" in done.out
    assert "next: edge-runtime --model finder" in done.out
    assert file.read_bytes() == server.data
    assert "* finder" in models("list").out
    assert models("verify").out.startswith("right  finder")

    variables = {"XDG_DATA_HOME": str(tmp_path / "data")}
    found = edge("detect", "--model", "finder", next(pictures.glob("*.png")), "--json", variables=variables)
    assert (found.code, len(found.records[0]["detections"])) == (0, 2)
    assert edge("inspect", "finder", "--no-measure", variables=variables).out.startswith("finder.tflite: a detector")
    (tmp_path / "settings.toml").write_text('model = "finder"\n')
    config = edge("bench", "--config", "settings.toml", "--num-runs", 1, "--json", variables=variables)
    assert json.loads(config.out)["model"] == str(file)

    assert models("remove", "finder").out == f"removed {file}\n"
    assert models("remove", "finder").code == 2
    assert not list(file.parent.iterdir())


def test_progress_goes_to_stderr_in_plain_lines_where_nobody_watches(models: Callable[..., Done]) -> None:
    done = models("pull", "finder")
    assert done.code == 0
    assert "finder, kB" in done.err
    assert "\x1b" not in done.err


def test_a_second_pull_brings_nothing_anew(models: Callable[..., Done], server: FileServer) -> None:
    models("pull", "finder", "-q")
    assert "was there, sha256 right" in models("pull", "finder", "-q").out
    assert len(server.requests) == 1


def test_a_folder_of_the_users_own(models: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    done = models("pull", "--to", "here", "finder", "-q")
    assert "next: edge-runtime --model here/finder.tflite" in done.out
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["finder.tflite"]
    assert "0 of 1" in models("list").out
    assert models("verify", "here/finder.tflite").code == 0


def test_a_corrupted_download_is_exit_code_3_and_leaves_nothing(
    models: Callable[..., Done], server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Serve(changes=True)]
    done = models("pull", "finder", "-q")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert "nothing was kept" in done.err
    assert not (tmp_path / "data").exists()


def test_a_pull_that_gets_nothing_leaves_nothing(
    models: Callable[..., Done], server: FileServer, tmp_path: Path
) -> None:
    """Neither an empty part, nor the folders that were made for it; a folder that was there stays."""
    for folder, is_there in ((tmp_path / "data", False), (tmp_path / "data" / "edge-runtime", True)):
        server.plan = [Serve(status=404)]
        done = models("pull", "finder", "-q")
        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
        assert folder.exists() is is_there
        (tmp_path / "data" / "edge-runtime").mkdir(parents=True, exist_ok=True)
    assert not list((tmp_path / "data" / "edge-runtime").iterdir())


def test_a_pulled_model_that_was_damaged_is_noticed(models: Callable[..., Done], tmp_path: Path) -> None:
    """A card that loses bits does so without a word."""
    models("pull", "finder", "-q")
    file = tmp_path / "data" / "edge-runtime" / "models" / "finder.tflite"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    done = models("verify", "--json")
    assert done.code == 3
    assert "is not the file it should be (1 of 1 wrong)" in done.err
    assert json.loads(done.out)[0]["is_right"] is False
    assert models("pull", "finder", "-q").code == 6, "it may be the user's own"
    assert models("pull", "finder", "-q", "--overwrite").code == 0
    assert models("verify").code == 0


@pytest.mark.parametrize(
    ("args", "code", "answer"),
    [
        ((), 2, "ACTION: is missing; give one of list, pull, verify, remove"),
        (("fetch",), 2, "'fetch': is no action"),
        (("pull",), 2, "pull: NAME is missing"),
        (("remove",), 2, "remove: NAME is missing"),
        (("pull", "findr"), 2, "did you mean finder?"),
        (("pull", "finder", "--to", "none"), 6, "the folder none does not exist"),
        (("verify", "none"), 2, "'none': is neither a pulled model nor a file"),
        (("verify", "own.toml"), 3, "own.toml: is in no registry, neither by its name nor by its content"),
        (("list", "--to", "x"), 2, "--to: is for pull, list has no use for it; leave it out"),
        (("list", "--overwrite"), 2, "--overwrite: is for pull, list has no use for it"),
        (("pull", "finder", "--json"), 2, "--json: is for list and verify, pull has no use for it"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    models: Callable[..., Done], args: tuple[str, ...], code: int, answer: str
) -> None:
    done = models(*args)
    assert done.code == code
    assert answer in done.err
    assert done.err.count("\n") == 1


def test_the_registry_that_comes_along_is_listed_in_80_columns(edge: Edge, tmp_path: Path) -> None:
    done = edge("models", "list", variables={"XDG_DATA_HOME": str(tmp_path)})
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[0].index("name") == lines[1].index(lines[1].split()[0]), "the header stands over its column"
    rows = json.loads(edge("models", "list", "--json", variables={"XDG_DATA_HOME": str(tmp_path)}).out)
    assert {row["pulled"] for row in rows} == {None}
    assert all(row["name"] in done.out for row in rows)
