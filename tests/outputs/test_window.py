"""The window: its logic on a fake, and a real one where OpenCV has windows and Xvfb is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.outputs import OUTPUTS
from edge_runtime.outputs.window import WindowOutput, has_gui, shrunk

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = {"DISPLAY": ":0"}


class FakeHighgui:
    """The window functions of OpenCV, with a user who presses keys and closes the window."""

    WINDOW_AUTOSIZE = 1
    WND_PROP_VISIBLE = 4

    def __init__(self, toolkit="QT5"):
        self.toolkit = toolkit
        self.key = -1
        self.visible = 1.0
        self.shown = []
        self.windows = set()
        self.waits = 0
        self.fails = False

    def getBuildInformation(self):
        return f"General configuration\n  GUI:                           {self.toolkit}\n    GTK+: NO\n  Media I/O:\n"

    def namedWindow(self, title, flags):
        if self.fails:
            raise cv2.error("Can't initialize GTK backend")
        self.windows.add(title)

    def imshow(self, title, image):
        if self.fails:
            raise cv2.error("gone")
        assert title in self.windows
        self.shown.append(image)

    def waitKey(self, delay_ms):
        assert delay_ms == 1  # 0 would wait for a key for ever
        self.waits += 1
        return self.key

    def getWindowProperty(self, title, which):
        if not self.windows:
            raise cv2.error("NULL guiReceiver")
        return self.visible

    def destroyWindow(self, title):
        if title not in self.windows:
            raise cv2.error("NULL window")
        self.windows.remove(title)


@pytest.fixture
def gui():
    return FakeHighgui()


@pytest.fixture
def window(gui):
    output = WindowOutput("test", highgui=gui, environment=DESKTOP, display_answers=lambda: True)
    output.open()
    return output


def test_the_table_of_outputs_names_this_one():
    """The pipeline knows the window by this name, to call it in the main thread."""
    assert OUTPUTS["window"].endswith(f":{WindowOutput.__name__}")
    output = WindowOutput("test", highgui=FakeHighgui("GTK3"), environment=DESKTOP)
    assert output.name == "window"
    assert output.needs_drawing


def test_frames_are_shown_as_they_come(gui, window, make_result):
    """The plain job."""
    for level in (10, 20):
        result = make_result(level=level)
        window.write(result, result.frame.image)
    assert [int(image.mean()) for image in gui.shown] == [10, 20]
    assert not window.is_closed


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), 27, ord("q") | 0x100000])
def test_q_and_escape_ask_to_stop(gui, window, make_result, key):
    """The keys everybody tries; some toolkits put the state of NumLock in the upper bits."""
    gui.key = key
    assert window.is_closed
    gui.key = -1
    assert window.is_closed  # a wish to stop is not forgotten
    window.write(make_result(), make_result().frame.image)
    assert gui.shown == []


def test_another_key_does_not(gui, window):
    """A hand on the keyboard must not end a recording."""
    gui.key = ord("x")
    assert not window.is_closed


def test_the_windows_own_button_asks_to_stop(gui, window, make_result):
    """Else the window comes back with the next frame and cannot be closed at all."""
    window.write(make_result(), make_result().frame.image)
    gui.visible = 0.0
    assert window.is_closed


def test_the_last_window_of_qt_gone_is_a_wish_to_stop_and_no_failure(gui, window, make_result):
    """Qt raises over a window that its own button has closed."""
    window.write(make_result(), make_result().frame.image)
    gui.windows.clear()
    assert window.is_closed
    window.close()


def test_a_window_that_shows_nothing_yet_is_not_closed(gui, window):
    """Toolkits call it invisible until its first picture; the model may load for seconds."""
    gui.visible = 0.0
    assert not window.is_closed


def test_asking_lets_the_window_breathe_while_no_frame_comes(gui, window):
    """With the camera away nothing is shown, but q must work and the desktop must not call it frozen."""
    before = gui.waits
    assert not window.is_closed
    assert gui.waits == before + 1


def test_closing_takes_the_window_away_once(gui, window):
    """The pipeline may close twice."""
    window.close()
    window.close()
    assert gui.windows == set()


def test_closing_a_window_the_user_closed_is_no_error(gui, window):
    """OpenCV raises over a window it does not know."""
    gui.windows.clear()
    window.close()
    assert gui.windows == set()


def test_a_frame_that_cannot_be_shown_is_an_output_error(gui, window, make_result):
    """The desktop session ended; detection goes on without the window."""
    gui.fails = True
    with pytest.raises(OutputError, match="window: cannot show the frame"):
        window.write(make_result(), make_result().frame.image)


def test_the_headless_build_names_both_commands():
    """The two packages share one folder: installing the other on top breaks both."""
    with pytest.raises(ConfigError) as caught:
        WindowOutput("test", highgui=FakeHighgui("NONE"), environment=DESKTOP)
    message = str(caught.value)
    assert "python -m pip uninstall -y opencv-python-headless" in message
    assert "python -m pip install opencv-python" in message
    assert "\n" not in message


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ""}])
def test_no_desktop_names_the_flag_for_it(gui, environment):
    """A board on a shelf, or an ssh session."""
    with pytest.raises(ConfigError, match=r"neither DISPLAY nor WAYLAND_DISPLAY is set; use --headless"):
        WindowOutput("test", highgui=gui, environment=environment)


def test_a_display_that_refuses_is_an_error_before_qt_ends_the_process(gui):
    """``sudo`` on a desktop: Qt aborts, and nothing in Python could catch it."""
    with pytest.raises(ConfigError, match="display :0 does not answer or does not let this user in"):
        WindowOutput("test", highgui=gui, environment=DESKTOP, display_answers=lambda: False)
    assert gui.windows == set()


def test_qt_on_wayland_alone_is_an_error_before_qt_ends_the_process(gui):
    """The Qt inside opencv-python knows X only."""
    with pytest.raises(ConfigError, match="by X alone and DISPLAY is not set"):
        WindowOutput("test", highgui=gui, environment={"WAYLAND_DISPLAY": "wayland-0"})


def test_gtk_speaks_for_itself():
    """It knows Wayland, and raises where Qt aborts."""
    gui = FakeHighgui("GTK3")
    output = WindowOutput("test", highgui=gui, environment={"WAYLAND_DISPLAY": "wayland-0"})
    output.open()
    output.close()
    gui.fails = True
    with pytest.raises(ConfigError, match=r"the desktop refuses it .*use --headless"):
        WindowOutput("test", highgui=gui, environment={"WAYLAND_DISPLAY": "wayland-0"}).open()


@pytest.mark.parametrize(("toolkit", "expected"), [("QT5", True), ("GTK3", True), ("", True), ("NONE", False)])
def test_the_build_says_whether_it_has_windows(toolkit, expected):
    """Older builds put the toolkit on the next line."""
    assert has_gui(FakeHighgui(toolkit)) is expected


def test_the_installed_opencv_is_described_as_it_behaves():
    """The line in the description must agree with what a call does: a headless build raises."""
    if has_gui():
        pytest.skip("this OpenCV has windows; opening one is another test")
    with pytest.raises(cv2.error):
        cv2.namedWindow("test")


@pytest.mark.parametrize(
    ("size_wh", "shown_wh"),
    [((640, 480), (640, 480)), ((1280, 720), (1280, 720)), ((3840, 2160), (1280, 720)), ((1080, 1920), (540, 960))],
)
def test_large_frames_are_shown_smaller_and_undistorted(size_wh, shown_wh):
    """A 4K frame would cover more than the screen."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    assert shrunk(image).shape == (shown_wh[1], shown_wh[0], 3)


REAL_PROGRAM = """
import subprocess
import sys
import numpy as np
from edge_runtime.errors import ConfigError
from edge_runtime.detections import Detections
from edge_runtime.frame import Frame
from edge_runtime.outputs.window import WindowOutput
from edge_runtime.result import Result

def click_the_button(title):
    # What a desktop sends when the button in the window's frame is clicked: WM_DELETE_WINDOW.
    import ctypes

    class Message(ctypes.Structure):  # XClientMessageEvent, padded to the size of XEvent
        _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
                    ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
                    ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_long * 24)]

    found = subprocess.run(["xdotool", "search", "--sync", "--name", title], check=True, capture_output=True)
    window = ctypes.c_ulong(int(found.stdout.split()[0]))
    xlib = ctypes.CDLL("libX11.so.6")
    xlib.XOpenDisplay.restype, xlib.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
    display = ctypes.c_void_p(xlib.XOpenDisplay(None))
    message = Message(type=33, send_event=1, window=window.value, format=32)
    message.message_type = xlib.XInternAtom(display, b"WM_PROTOCOLS", 0)
    message.data[0] = xlib.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
    xlib.XSendEvent(display, window, 0, ctypes.c_long(0), ctypes.byref(message))
    xlib.XCloseDisplay(display)


try:
    output = WindowOutput("edge-runtime test")
    output.open()
except ConfigError as exc:
    print(exc)
    sys.exit(2)
image = np.full((120, 160, 3), 200, np.uint8)
result = Result(Frame(image, 0, 0, 0.0, "camera 0"), Detections.empty(), (), {}, 0)
for _ in range(20):
    output.write(result, image)
    assert not output.is_closed
print("shown", flush=True)
if sys.argv[1] == "key":
    search = ["xdotool", "search", "--sync", "--name", "edge-runtime test"]
    subprocess.run([*search, "key", "--window", "%1", "q"], check=True)
elif sys.argv[1] == "button":
    click_the_button("edge-runtime test")
for _ in range(2000 if sys.argv[1] != "show" else 0):
    if output.is_closed:
        print("asked to stop")
        break
output.write(result, image)
output.close()
"""


def run_real(display, what="show"):
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", REAL_PROGRAM, what]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def x_server():
    """Start a virtual screen; give its DISPLAY."""
    if not has_gui():
        pytest.skip("this OpenCV is the headless build")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        try:
            yield f":{number}"
        finally:
            server.terminate()


def test_a_real_window_opens_shows_and_closes(x_server):
    """The fake says what we think OpenCV does; this says what it does."""
    done = run_real(x_server)
    assert (done.stdout, done.returncode) == ("shown\n", 0), done.stderr


@pytest.mark.parametrize("what", ["key", "button"])
def test_q_and_the_button_of_a_real_window_ask_to_stop(x_server, what):
    """A person's key and click, sent by xdotool and Xlib; after the click Qt raises at every call."""
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed")
    done = run_real(x_server, what)
    assert (done.stdout, done.returncode) == ("shown\nasked to stop\n", 0), done.stderr


def test_a_dead_display_is_an_error_and_no_abort():
    """Qt would end the process by a signal."""
    if not has_gui():
        pytest.skip("this OpenCV is the headless build")
    done = run_real(":987")
    assert done.returncode == 2, done.stderr
    assert "the display :987 does not answer" in done.stdout
