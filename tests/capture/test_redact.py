"""Addresses without their secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.capture.redact import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://admin:geheim@cam.local:554/live", "rtsp://cam.local:554/live"),
        ("rtsp://admin@cam/live", "rtsp://cam/live"),
        ("http://a:p%40b@10.0.0.7/x", "http://10.0.0.7/x"),
        ("http://a:p@ss@10.0.0.7/x", "http://10.0.0.7/x"),
        ("http://cam/v?user=me&password=abc&channel=1", "http://cam/v?user=***&password=***&channel=1"),
        ("http://cam/v?TOKEN=abc#top", "http://cam/v?TOKEN=***#top"),
        ("http://cam/v?access_token=abc", "http://cam/v?access_token=***"),
        ("http://cam/v?apikey=abc", "http://cam/v?apikey=***"),
        ("rtsp://cam:554/user=admin&password=abc&channel=1.sdp", "rtsp://cam:554/user=***&password=***&channel=1.sdp"),
        ("cannot open rtsp://a:b@c/d and http://e:f@g/", "cannot open rtsp://c/d and http://g/"),
    ],
)
def test_user_password_and_tokens_are_removed(text: str, expected: str) -> None:
    """Names go to logs, results and metrics, which people pass around."""
    assert redact(text) == expected


@pytest.mark.parametrize("text", ["rtsp://a:se/cret@cam/x", "rtsp://a:se?cret@cam/x", "rtsp://a:#secret@cam/x"])
def test_a_password_that_breaks_the_address_is_removed_too(text: str) -> None:
    """An address that does not work is the one that ends in an error message."""
    assert redact(text) == "rtsp://***@cam/x"


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "/dev/video2",
        "clip.mp4",
        "http://cam:8080/mail@home.jpg",
        "http://cam:8080/v?channel=1&keyframe=2",
        "rtsp://[fe80::1]:554/live",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    """A name that is cut too far no longer tells which camera it was."""
    assert redact(text) == text


@given(
    user=st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True),
    password=st.from_regex(r"[!-.:-~]{1,12}", fullmatch=True).map(lambda text: "Q" + text.replace("@", "") + "Q"),
)
def test_no_password_of_printable_characters_is_left_over(user: str, password: str) -> None:
    """Passwords hold every character a keyboard has."""
    assert password not in redact(f"rtsp://{user}:{password}@camera:554/live")
