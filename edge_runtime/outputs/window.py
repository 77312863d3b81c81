"""A window on the desktop. Everything here happens in the thread that opens it; toolkits demand that."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import imutils

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.result import Result, StateChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_WH = (1280, 960)
QUIT_KEYS = (ord("q"), ord("Q"), 27)  # 27 is Esc


class WindowOutput:
    """Shows the drawn frames until q, Esc or the window's own button asks to stop.

    Args:
        title: of the window.
        highgui: what has OpenCV's window functions.
        environment: the process's variables.
        display_answers: tells if the X server named by DISPLAY lets us in.

    Raises:
        ConfigError: this OpenCV has no windows, or there is no desktop to show one on. Known before a model is loaded.
    """

    name = "window"
    needs_drawing = True

    def __init__(
        self,
        title: str,
        *,
        highgui: Any = cv2,
        environment: Mapping[str, str] = os.environ,
        display_answers: Callable[[], bool] | None = None,
    ) -> None:
        self._title = title
        self._highgui = highgui
        check_display(highgui, environment, display_answers or x_server_answers)
        self._is_open = False
        self._has_picture = False
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """True when the user wants to stop. Asking also lets the window redraw and read its keys."""
        if self._is_open and not self._closed:
            self._see_to_events()
        return self._closed

    def open(self) -> None:
        """Make the window.

        Raises:
            ConfigError: the desktop refuses it.
        """
        try:
            self._highgui.namedWindow(self._title, self._highgui.WINDOW_AUTOSIZE)
            self._highgui.waitKey(1)
        except cv2.error as exc:
            raise ConfigError(f"window: the desktop refuses it ({exc.err}); use --headless") from exc
        self._is_open = True

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        del result
        assert drawn is not None
        if self._closed or not self._is_open:
            return
        try:
            self._highgui.imshow(self._title, shrunk(drawn))
        except cv2.error as exc:
            raise OutputError(f"window: cannot show the frame ({exc.err})") from exc
        self._has_picture = True
        self._see_to_events()

    def write_state(self, change: StateChange) -> None:
        del change

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._highgui.destroyWindow(self._title)
            self._highgui.waitKey(1)  # the toolkit takes it off the screen here
        except cv2.error:
            self._closed = True  # the user's click has taken it away already

    def _see_to_events(self) -> None:
        key = self._highgui.waitKey(1) & 0xFF
        if key in QUIT_KEYS:
            self._closed = True
        elif self._has_picture:  # a window without one counts as invisible in some toolkits
            self._closed = not self._is_visible()

    def _is_visible(self) -> bool:
        try:
            return bool(self._highgui.getWindowProperty(self._title, self._highgui.WND_PROP_VISIBLE) >= 1)
        except cv2.error:
            return False  # Qt raises once its last window is gone


def has_gui(highgui: Any = cv2) -> bool:
    """Return True if this OpenCV was built with windows."""
    return _toolkit(highgui) not in ("", "NONE")


def check_display(highgui: Any, environment: Mapping[str, str], display_answers: Callable[[], bool]) -> None:
    """Say what is missing for a window, before a toolkit ends the process over it: Qt does.

    Raises:
        ConfigError: the build has no windows, there is no desktop, or it does not let us in.
    """
    if not has_gui(highgui):
        raise ConfigError(
            "window: this OpenCV is the headless build, which has no windows; use --headless, or swap it: "
            "python -m pip uninstall -y opencv-python-headless && python -m pip install opencv-python"
        )
    display, wayland = environment.get("DISPLAY"), environment.get("WAYLAND_DISPLAY")
    if not display and not wayland:
        raise ConfigError(
            "window: there is no desktop here, neither DISPLAY nor WAYLAND_DISPLAY is set; "
            "use --headless, or start it on the desktop"
        )
    if not _toolkit(highgui).startswith("QT"):
        return  # GTK knows Wayland, and raises instead of ending the process
    if not display:
        raise ConfigError(
            "window: this OpenCV shows windows by X alone and DISPLAY is not set; use --headless, or start Xwayland"
        )
    if not display_answers():
        raise ConfigError(
            f"window: the display {display} does not answer or does not let this user in; "
            "use --headless, or start it as the user of the desktop"
        )


def x_server_answers() -> bool:
    """Return False if the X server named by DISPLAY cannot be reached or refuses this user."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # not ours to tell; whoever opens the window says what is missing
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    refused = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not refused


def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) the image, made smaller if it would not fit a screen."""
    height, width = image.shape[:2]
    if width <= LARGEST_WH[0] and height <= LARGEST_WH[1]:
        return image
    is_wide = width * LARGEST_WH[1] >= height * LARGEST_WH[0]
    smaller: NDArray[np.uint8] = (
        imutils.resize(image, width=LARGEST_WH[0]) if is_wide else imutils.resize(image, height=LARGEST_WH[1])
    )
    return smaller


def _toolkit(highgui: Any) -> str:
    """Return what stands after "GUI:" in the build's own description: "QT5", "GTK3", "NONE"."""
    lines = highgui.getBuildInformation().splitlines()
    return next((line.partition("GUI:")[2].strip() or "?" for line in lines if "GUI:" in line), "")
