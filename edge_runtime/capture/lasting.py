"""The lasting names of a camera: /dev/videoN is given anew at every plugging, the links in /dev/v4l are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.capture.v4l import Nodes


@dataclass(frozen=True, slots=True)
class Lasting:
    """A camera as it was when it was last opened, to be found again under any number.

    by-id holds maker, model and, if the camera has one, its serial number. Two cameras of a kind without serial
    numbers share one such link, which then leads to either. by-path holds the socket.
    """

    model: str  # as the kernel calls it; empty where it does not say
    by_id: str | None
    by_paths: tuple[str, ...]  # udev makes two for some USB sockets

    def find(self, nodes: Nodes, others: frozenset[str]) -> str | None:
        """Return the path of the node that this camera has now, None if it is not there.

        Args:
            nodes: where the kernel shows its devices.
            others: by-path links of cameras that are surely others: they were there beside this one.
        """
        for path in filter(None, map(nodes.target, self.by_paths)):  # first: of equal cameras only the socket tells
            if self._may_be(nodes, path):
                return path
        known = nodes.target(self.by_id) if self.by_id else None
        if known is None or not self._is_model(nodes, known) or others.intersection(nodes.links("by-path", known)):
            return None
        return known

    def _is_model(self, nodes: Nodes, path: str) -> bool:
        return self.model in ("", nodes.model(path))

    def _may_be(self, nodes: Nodes, path: str) -> bool:
        """Return whether the camera in the socket is of this model and not known by another name."""
        names = nodes.links("by-id", path)
        return self._is_model(nodes, path) and (self.by_id is None or not names or self.by_id in names)


def lasting_names(nodes: Nodes, path: str, before: Lasting | None = None) -> Lasting | None:
    """Return what a camera can be found by; None for a link, which lasts by itself, and where there are no links.

    Args:
        nodes: where the kernel shows its devices.
        path: the node that was opened.
        before: what was known; a by-id link that another camera of the kind has taken over is still ours.
    """
    if Path(path).is_symlink():
        return None
    by_id, by_path = nodes.links("by-id", path), nodes.links("by-path", path)
    if not by_id and not by_path:
        return before
    kept = before.by_id if before else None
    return Lasting(nodes.model(path), by_id[0] if by_id else kept, tuple(by_path))


def cameras_beside(nodes: Nodes, known: Lasting) -> frozenset[str]:
    """Return the by-path links of all cameras there are but this one."""
    return frozenset(nodes.all_links("by-path")).difference(known.by_paths)
