"""Which operators the Edge TPU takes, and on what condition.

Source: coral.ai/docs/edgetpu/models-intro, "Supported operations", for runtime version 14 and later.
"""

from __future__ import annotations

from collections.abc import Mapping

_NO_FUSED, _NOT_BATCH = "no fused activation", "not along the batch"
_PRECISION = "3 dimensions; for some sizes the compiler leaves it on the CPU"

CONDITIONS: Mapping[str, str] = {
    "ADD": "",
    "AVERAGE_POOL_2D": _NO_FUSED,
    "CONCATENATION": "no fused activation; a constant among the inputs is one of two, and all zeros",
    "CONV_2D": "the same dilation in x and y",
    "DEPTHWISE_CONV_2D": "the same dilation in x and y",
    "EXPAND_DIMS": "",
    "FULLY_CONNECTED": "weights in the default format, one output dimension",
    "L2_NORMALIZATION": "",
    "LOGISTIC": "",
    "LSTM": "in one direction",
    "MAXIMUM": "",
    "MAX_POOL_2D": _NO_FUSED,
    "MEAN": "not along the batch; along the channels only where they are a multiple of 4",
    "MINIMUM": "",
    "MUL": "",
    "PACK": _NOT_BATCH,
    "PAD": _NOT_BATCH,
    "PRELU": "one slope for each channel",
    "QUANTIZE": "",
    "REDUCE_MAX": _NOT_BATCH,
    "REDUCE_MIN": _NOT_BATCH,
    "RELU": "",
    "RELU6": "",
    "RELU_N1_TO_1": "",
    "RESHAPE": "large ones the compiler may leave on the CPU",
    "RESIZE_BILINEAR": _PRECISION,
    "RESIZE_NEAREST_NEIGHBOR": _PRECISION,
    "RSQRT": "",
    "SLICE": "",
    "SOFTMAX": "one dimension of at most 16,000",
    "SPACE_TO_DEPTH": "",
    "SPLIT": _NOT_BATCH,
    "SQUARED_DIFFERENCE": "",
    "SQUEEZE": "",
    "STRIDED_SLICE": "strides of 1, no ellipsis, no new axes",
    "SUB": "",
    "SUM": _NOT_BATCH,
    "TANH": "",
    "TRANSPOSE": "",
    "TRANSPOSE_CONV": "",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "",
}
"""Operator -> its condition in words; empty where it has none."""
