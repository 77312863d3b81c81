"""Results as records of schema 1."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.detections import Detections
from edge_runtime.outputs.records import detections_record, schema, state_record


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())


def test_a_result_becomes_the_record_the_design_describes(make_result):
    """Every reader of our logs relies on these very keys and units."""
    assert detections_record(make_result(7)) == {
        "schema": 1,
        "type": "detections",
        "time": "2026-01-31T12:00:00.250Z",
        "source": "camera 0",
        "sequence": 7,
        "latency_ms": {"capture_to_result": 41.235, "wait": 0.1, "preprocess": 0.2, "invoke": 13.0, "decode": 0.05},
        "detections": [{"label": "person", "class_id": 0, "score": 0.8765, "box": [1.0, 2.0, 33.33, 44.44]}],
    }


def test_tracks_are_written_only_where_something_tracks(make_result):
    """A track number that means nothing would be taken for one."""
    assert [row["track_id"] for row in detections_record(make_result(count=2, tracked=True))["detections"]] == [10, 11]
    assert "track_id" not in detections_record(make_result())["detections"][0]


def test_a_change_of_state_becomes_a_record(change):
    """The line somebody looks for when a camera was away at night."""
    assert state_record(change) == {
        "schema": 1,
        "type": "state",
        "time": "2026-01-31T12:00:00.250Z",
        "part": "camera",
        "from": "ok",
        "to": "lost",
        "reason": "camera 0: unplugged",
    }


@pytest.mark.parametrize("count", [0, 1, 5])
def test_real_records_fit_the_schema(validator, make_result, change, count):
    """The schema is what others build their readers from, so it must be true."""
    validator.validate(json.loads(json.dumps(detections_record(make_result(count=count, tracked=True)))))
    validator.validate(state_record(change))


def test_an_event_fits_the_schema(validator):
    """Readers meet events in the same file."""
    validator.validate({"schema": 1, "type": "event", "event": "new", "time": "2026-01-31T12:00:00.250Z"})


@pytest.mark.parametrize(
    "harm",
    [
        {"schema": 2},
        {"type": "detection"},
        {"time": "yesterday"},
        {"sequence": -1},
        {"sequence": "1"},
        {"detections": [{"label": "person", "class_id": 0, "score": 1.5, "box": [0, 0, 1, 1]}]},
        {"detections": [{"label": "person", "class_id": 0, "score": 0.5, "box": [0, 0, 1]}]},
        {"latency_ms": {}},
    ],
)
def test_the_schema_refuses_what_we_never_write(validator, make_result, harm):
    """A schema that accepts everything checks nothing."""
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(detections_record(make_result()) | harm)


@pytest.mark.parametrize("missing", ["time", "part", "from", "to", "reason"])
def test_the_schema_refuses_a_state_without_one_of_its_keys(validator, change, missing):
    """Each of them is needed to understand the line."""
    record = state_record(change)
    del record[missing]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(record)


def test_rows_that_are_not_finite_are_left_out(make_result):
    """JSON has no NaN; Python would write one all the same, and every other reader would stop at it."""
    result = make_result(count=3)
    boxes = result.detections.boxes.copy()
    boxes[1, 2] = np.nan
    broken = replace(result, detections=Detections(boxes, result.detections.scores, result.detections.class_ids))
    record = detections_record(broken)
    assert [row["score"] for row in record["detections"]] == [0.8765, 0.5]
    json.dumps(record, allow_nan=False)


def test_no_numpy_number_is_left_in_a_record(make_result):
    """They look like numbers and are refused by json, msgpack and every data base driver."""

    def leaves(value):
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            return [leaf for one in value for leaf in leaves(one)]
        return [value]

    assert {type(leaf) for leaf in leaves(detections_record(make_result(count=2, tracked=True)))} <= {int, float, str}


@given(st.floats(0, 4000), st.floats(0, 4000), st.floats(4, 500), st.floats(4, 500))
def test_rounding_leaves_the_overlap_of_a_box_with_itself_above_99_percent(x, y, width, height):
    """Accuracy is computed from these lines later; rounding must not cost any."""
    exact = np.array([[x, y, x + width, y + height]], np.float32)
    left, top, right, bottom = (round(side, 2) for side in exact.astype(np.float64)[0].tolist())
    x1, y1, x2, y2 = exact.astype(np.float64)[0]
    common = max(0.0, min(right, x2) - max(left, x1)) * max(0.0, min(bottom, y2) - max(top, y1))
    union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - common
    assert common / union > 0.99


def test_key_points_are_written_where_a_model_has_them(validator, make_result):
    """Rounded as boxes are; one that is no number takes its detection with it."""
    result = make_result(count=2)
    points = np.array([[[1.2345, 2]] * 5, [[3, 4]] * 4 + [[np.nan, 1]]], np.float32)
    record = detections_record(replace(result, detections=replace(result.detections, keypoints=points)))
    (row,) = record["detections"]
    assert row["keypoints"] == [[1.23, 2.0]] * 5
    assert "keypoints" not in detections_record(result)["detections"][0]
    validator.validate(json.loads(json.dumps(record)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**record, "detections": [{**row, "keypoints": [[1.0]]}]})


def test_labels_of_the_whole_frame_are_said_to_be_that(validator, make_result):
    """The box alone, which is the frame, could be that of something large."""
    record = detections_record(replace(make_result(), task="classify"))
    assert record["task"] == "classify"
    assert "task" not in detections_record(make_result())
    validator.validate(json.loads(json.dumps(record)))
