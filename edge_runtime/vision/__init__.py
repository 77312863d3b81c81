"""Geometry and pixels: letterbox, preprocessing, boxes, NMS. Pure functions on arrays."""
