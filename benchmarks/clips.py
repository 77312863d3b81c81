"""The video the benchmarks run on: drawn scenes, so that nothing has to be downloaded."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge_runtime.capture.scene import SceneSource


def write_clip(path: Path, *, size_wh: tuple[int, int] = (1280, 720), frames: int = 600, fps: float = 30.0) -> Path:
    """Write drawn scenes as MPEG-4 video and return its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size_wh)
    if not writer.isOpened():
        raise RuntimeError(f"{path}: OpenCV cannot write mp4v here")
    with SceneSource(size_wh=size_wh, fps=fps, frames=frames) as scenes:
        for frame in scenes:
            writer.write(frame.image)
    writer.release()
    return path
