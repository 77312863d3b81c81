"""Reading what a run has written: JSON lines of detections, states and telemetry, also compressed ones."""
