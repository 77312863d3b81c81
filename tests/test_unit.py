"""The unit of an installation, checked by systemd's own tools where they are."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.unit import MARK, Installation, render_unit, shipped_unit, unit_name

PLAIN = Installation(None, ("/bin/true",), Path("/etc/edge-runtime/edge-runtime.toml"))
VARIANTS = {
    "plain": PLAIN,
    "instance": replace(PLAIN, name="front", config=Path("/etc/edge-runtime/front.toml")),
    "network": replace(PLAIN, needs_network=True),
    "home": replace(PLAIN, reads=(Path("/home/pi/venv"), Path("/home/pi/my models: 100%"))),
    "user": replace(PLAIN, is_user=True),
}
MOST_EXPOSED = "20"  # tenths: what the project promises


def rendered(installation: Installation) -> str:
    return render_unit(installation, shipped_unit(installation.name))


def values(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def unit_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / request.param.unit
    path.write_text(rendered(request.param))
    return path


def test_systemd_accepts_every_line(unit_file: Path) -> None:
    """A misspelt key is ignored by systemd with a warning that nobody reads."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", str(unit_file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "edge-runtime" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("variant", ["plain", "instance", "network", "home"])
def test_systemd_finds_little_to_attack(variant: str, tmp_path: Path) -> None:
    """A camera on a wall is in somebody's network; the promise is an exposure of 2.0 at most."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / VARIANTS[variant].unit
    path.write_text(rendered(VARIANTS[variant]))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:]


def test_the_template_is_the_unit_but_for_its_name() -> None:
    """Two files that say the same drift apart unless something holds them together."""
    plain = shipped_unit(None).splitlines()[1:]
    template = shipped_unit("any").splitlines()[1:]
    restored = [line.replace(", %i", "").replace("edge-runtime/%i.toml", "edge-runtime/edge-runtime.toml")
                .replace("edge-runtime/%i", "edge-runtime") for line in template]  # fmt: skip
    assert restored == plain


def test_a_file_written_here_says_so_in_its_first_line() -> None:
    """Only by this line does uninstall know what it may take away."""
    assert rendered(PLAIN).startswith(MARK + "\n")


def test_what_lies_in_a_home_is_bound_into_the_hidden_one() -> None:
    """Most people have their environment in their home, and a service that hides it would not start."""
    text = rendered(VARIANTS["home"])
    assert values(text, "ProtectHome") == ["tmpfs"]
    assert values(text, "BindReadOnlyPaths") == ['"/home/pi/my models\\: 100%%"', "/home/pi/venv"]


def test_what_lies_elsewhere_leaves_the_home_hidden() -> None:
    text = rendered(replace(PLAIN, reads=(Path("/opt/edge-runtime"),)))
    assert values(text, "ProtectHome") == ["yes"]
    assert not values(text, "BindReadOnlyPaths")


def test_a_folder_inside_another_is_not_bound_again() -> None:
    text = rendered(replace(PLAIN, reads=(Path("/home/pi/venv/bin"), Path("/home/pi/venv"))))
    assert values(text, "BindReadOnlyPaths") == ["/home/pi/venv"]


def test_the_network_is_there_only_for_who_needs_it() -> None:
    assert values(rendered(PLAIN), "PrivateNetwork") == ["yes"]
    text = rendered(VARIANTS["network"])
    assert values(text, "PrivateNetwork") == ["no"]
    assert "AF_INET6" in values(text, "RestrictAddressFamilies")[0]
    assert not values(text, "IPAddressDeny")


def test_a_path_with_signs_of_systemd_arrives_as_it_is() -> None:
    """A dollar begins a variable there, a percent sign a specifier, a blank the next word."""
    text = rendered(replace(PLAIN, config=Path("/srv/a b/$x%y.toml")))
    assert values(text, "ExecStart") == ['/bin/true run --headless --config "/srv/a b/$$x%%y.toml"']


def test_a_user_needs_nothing_that_takes_root() -> None:
    text = rendered(VARIANTS["user"])
    assert not values(text, "DynamicUser")
    assert not values(text, "SupplementaryGroups")
    assert values(text, "WantedBy") == ["default.target"]
    assert values(text, "WatchdogSec") == values(shipped_unit(None), "WatchdogSec")


@pytest.mark.parametrize("name", ["", "../x", "a b", "a@b", "x" * 65, "-x", "a/b"])
def test_a_name_that_systemd_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        unit_name(name)
