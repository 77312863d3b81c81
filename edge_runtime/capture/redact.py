"""Text without the secrets that camera addresses carry."""

from __future__ import annotations

import re

# rtsp://user:password@host: everything between the scheme and the last @ before the path.
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
# A password with an unescaped slash or question mark: the address does not work, yet its error message must not
# tell the password. A port (digits up to the path) is no password.
_BROKEN_USERINFO = re.compile(r"(?<=://)[^/?#\s:@]*:(?!\d+(?:[/?#]|$))\S*@")
# ?user=a&password=b, also inside the path, where some cameras want them: /user=a&password=b&channel=1.sdp
_NAMES = "user|username|usr|login|password|passwd|passphrase|pass|pwd|psw|token|auth|key|secret|signature|sig|sid"
_PARAMETER = re.compile(
    rf"(?<=[?&;/])((?:[a-z0-9]+[_-])*(?:{_NAMES}|api_?key|access_?token))=[^&;#\s'\"]*", re.IGNORECASE
)


def redact(text: str) -> str:
    """Return the text with user, password and tokens removed from every address in it.

    ``rtsp://me:secret@cam/live`` becomes ``rtsp://cam/live``, and ``?token=abc`` becomes ``?token=***``.
    """
    text = _USERINFO.sub("", text)
    text = _BROKEN_USERINFO.sub("***@", text)
    return _PARAMETER.sub(r"\1=***", text)
