"""Putting the service in place: systemd is a stand-in that keeps what it was told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_runtime import installation
from edge_runtime.bundled import bundled_model
from edge_runtime.cli.service import describe
from edge_runtime.errors import ConfigError, ModelError, OutputError
from edge_runtime.installation import install, is_booted, plan, run_program, status, uninstall
from edge_runtime.unit import MARK


class Systemd:
    """Stands for systemctl: keeps the words, answers what it was given."""

    def __init__(self, answer: str = "", code: int = 0) -> None:
        self.told: list[list[str]] = []
        self.answer, self.code = answer, code

    def __call__(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.told.append(list(words))
        return subprocess.CompletedProcess(words, self.code, self.answer, "Access denied\nsee the log")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "edge-runtime"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    return path


@pytest.fixture(autouse=True)
def booted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system with systemd, whose services see all folders: pytest's own lie under /tmp."""
    monkeypatch.setattr(installation, "is_booted", lambda: True)
    monkeypatch.setattr(installation, "PRIVATE", ())


def config(folder: Path, text: str = "") -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def planned(tmp_path: Path, program: Path, text: str = "", name: str | None = None, *, is_user: bool = False):
    return plan(name, config(tmp_path, text), is_user=is_user, program=program)


def test_the_unit_is_written_and_started(tmp_path, program):
    systemd = Systemd()
    folder = tmp_path / "system"
    done = install(planned(tmp_path, program), folder, systemd)
    written = folder / "edge-runtime.service"
    assert written.read_text().startswith(MARK)
    assert f"ExecStart={program} run --headless --config {tmp_path / 'settings.toml'}" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o644
    assert [words[1] for words in systemd.told] == ["daemon-reload", "enable", "--no-block"]
    assert str(written) in done[0]


def test_an_instance_has_a_unit_of_its_own(tmp_path, program):
    """Two cameras are two services, and one of them must not replace the other."""
    folder = tmp_path / "system"
    for name in (None, "front", "back"):
        install(planned(tmp_path, program, name=name), folder, Systemd())
    assert sorted(path.name for path in folder.iterdir()) == [
        "edge-runtime.service", "edge-runtime@back.service", "edge-runtime@front.service",
    ]  # fmt: skip


def test_a_unit_of_somebody_else_stays(tmp_path, program):
    folder = tmp_path / "system"
    folder.mkdir()
    theirs = folder / "edge-runtime.service"
    theirs.write_text("[Service]\nExecStart=/mine\n")
    with pytest.raises(ConfigError, match="was not written by"):
        install(planned(tmp_path, program), folder, Systemd())
    with pytest.raises(ConfigError, match="was not written by"):
        uninstall(None, folder, Systemd(), is_user=False)
    assert theirs.read_text() == "[Service]\nExecStart=/mine\n"


def test_uninstall_leaves_nothing_of_ours_and_all_of_theirs(tmp_path, program):
    folder, systemd = tmp_path / "system", Systemd()
    install(planned(tmp_path, program), folder, systemd)
    (folder / "other.service").write_text("")
    uninstall(None, folder, systemd, is_user=False)
    assert [path.name for path in folder.iterdir()] == ["other.service"]
    assert systemd.told[-2:] == [
        ["systemctl", "disable", "--now", "edge-runtime.service"], ["systemctl", "daemon-reload"],
    ]  # fmt: skip
    assert (tmp_path / "settings.toml").exists()


def test_uninstall_of_nothing_says_so(tmp_path):
    with pytest.raises(ConfigError, match="is not there"):
        uninstall("front", tmp_path, Systemd(), is_user=False)


def test_a_user_s_service_is_told_to_the_user_s_systemd(tmp_path, program):
    systemd = Systemd()
    install(planned(tmp_path, program, is_user=True), tmp_path / "units", systemd, starts=False)
    assert systemd.told == [["systemctl", "--user", "daemon-reload"]]


def test_what_systemd_refuses_is_one_line(tmp_path, program):
    with pytest.raises(OutputError, match=r"systemctl daemon-reload: Access denied$"):
        install(planned(tmp_path, program), tmp_path / "system", Systemd(code=1))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_without_root_the_way_out_is_named(tmp_path, program):
    folder = tmp_path / "system"
    folder.mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="sudo, or add --user"):
        install(planned(tmp_path, program), folder, Systemd())


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('thresold = 0.5', ConfigError, "did you mean"),
        ('model = "nosuch.tflite"', ModelError, "nosuch.tflite"),
        ('labels = "nosuch.txt"', ConfigError, "labels"),
        ('log = "/home/pi/log.jsonl"\nappend = true', ConfigError, "/var/log/edge-runtime"),
        ('log = "/var/log/edge-runtime/log.jsonl"', ConfigError, "append = true"),
        ('snapshots = "/srv/pictures"', ConfigError, "snapshots"),
    ],
)  # fmt: skip
def test_settings_that_would_fail_in_the_service_are_refused_before(tmp_path, program, text, error, said):
    """A service that does not start says so in a journal that nobody reads."""
    with pytest.raises(error, match=said):
        planned(tmp_path, program, text)


def test_a_network_camera_brings_the_network(tmp_path, program):
    assert planned(tmp_path, program, 'source = "rtsp://10.0.0.7/live"').needs_network
    assert not planned(tmp_path, program, 'source = "/dev/video0"').needs_network


def test_the_folder_of_the_model_is_among_what_is_read(tmp_path, program):
    """A sidecar and a twin lie beside the model."""
    model = tmp_path / "models" / "mine.tflite"
    model.parent.mkdir()
    model.write_bytes(bundled_model().read_bytes())
    assert model.parent in planned(tmp_path, program, f'model = "{model}"').reads


def test_a_config_that_is_not_where_it_is_looked_for_is_named(tmp_path, program):
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"edge-runtime/front\.toml does not exist"):
        plan("front", None, is_user=True, program=program, environment=environment)


def test_a_package_that_is_not_installed_cannot_be_a_service(tmp_path):
    with pytest.raises(ConfigError, match="pip install"):
        plan(None, config(tmp_path), is_user=False, program=tmp_path / "nowhere")


def test_a_system_without_systemd_is_told():
    with pytest.raises(OutputError, match="there is no systemd"):
        run_program(["edge-runtime-no-such-program"])


def test_the_state_is_read_from_systemd():
    systemd = Systemd("LoadState=loaded\nActiveState=active\nSubState=running\nStatusText=9.8 FPS\nNRestarts=2\n"
                      "Result=success\nMemoryCurrent=104857600\n")  # fmt: skip
    said = describe(status("front", systemd, is_user=False), "front")
    assert said.splitlines() == [
        "edge-runtime@front.service", "  state     active (running)", "  says      9.8 FPS", "  restarts  2",
        "  memory    100.0 MiB",
    ]  # fmt: skip


def test_a_service_that_fell_says_how():
    facts = {"LoadState": "loaded", "ActiveState": "failed", "SubState": "failed", "NRestarts": "0",
             "Result": "exit-code", "ExecMainStatus": "3"}  # fmt: skip
    assert "last end  exit-code, exit code 3" in describe(facts, None)


def test_a_service_that_is_not_installed_says_how_to():
    assert describe({"LoadState": "not-found"}, None).endswith("edge-runtime service install")


def test_without_systemd_nothing_is_written(tmp_path, program):
    """A unit that nobody starts is found a year later by somebody who wonders."""
    with pytest.raises(ConfigError, match="systemd does not run here"):
        install(planned(tmp_path, program), tmp_path / "system", Systemd(), has_systemd=False)
    assert not (tmp_path / "system").exists()


def test_for_an_image_the_unit_is_written_and_taken_away_without_systemd(tmp_path, program):
    systemd, folder = Systemd(), tmp_path / "system"
    install(planned(tmp_path, program), folder, systemd, starts=False, has_systemd=False)
    assert [path.name for path in folder.iterdir()] == ["edge-runtime.service"]
    uninstall(None, folder, systemd, is_user=False, has_systemd=False)
    assert (list(folder.iterdir()), systemd.told) == ([], [])


def test_what_the_service_s_own_user_cannot_read_is_refused(tmp_path, program, monkeypatch):
    """It would fail in the journal, for a reason that root does not see when it tries by hand."""
    file = config(tmp_path)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"may not read it; run: chmod o\+r"):
        plan(None, file, is_user=False, program=program)
    assert plan(None, file, is_user=True, program=program).is_user


def test_what_lies_in_tmp_is_refused(tmp_path, program, monkeypatch):
    """The service has a /tmp of its own."""
    monkeypatch.setattr(installation, "PRIVATE", (tmp_path,))
    with pytest.raises(ConfigError, match="a /tmp of its own"):
        planned(tmp_path, program)


def test_systemd_is_seen_by_its_folder(tmp_path, monkeypatch):
    monkeypatch.undo()
    assert not is_booted(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert is_booted(tmp_path)
