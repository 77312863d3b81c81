"""The same techniques for Keras models, by TensorFlow Model Optimization.

    pruned = prune(model, fit, steps=1000)
    convert(pqat(pruned, fit), Path("small.tflite"), kind="int8")

Each takes a trained model and `fit`, which compiles the model it is given and trains it with the callbacks it is given.
Each works on a copy: the library changes what it wraps. It speaks the older Keras, so TF_USE_LEGACY_KERAS=1 has to be
set before TensorFlow is imported, and the model has to be made with ``tf_keras``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError, OutputError
from edge_runtime.optimize import modelfile
from edge_runtime.optimize.training.keras_fold import fold_batch_norms, plain_copy, refuse_batch_norms
from edge_runtime.wholefile import write_whole

log = logging.getLogger(__name__)

Fit = Callable[[Any, Sequence[Any]], object]
"""Compiles the model and trains it with these callbacks."""

KINDS = ("float", "int8")
CENTROIDS = {"kmeans++": "KMEANS_PLUS_PLUS", "linear": "LINEAR", "density": "DENSITY_BASED", "random": "RANDOM"}
_FALL_BACK = "linear"
_UPDATES = 50  # times that pruning looks at the weights anew

_QUANTISATION = "tensorflow_model_optimization.python.core.quantization.keras"
_PLAIN = "default_8bit.default_8bit_quantize_scheme"
_PRUNED = "collab_opts.prune_preserve.default_8bit_prune_preserve_quantize_scheme"
_CLUSTERED = "collab_opts.cluster_preserve.default_8bit_cluster_preserve_quantize_scheme"


def qat(model: Any, fit: Fit) -> Any:
    """Return a model trained with the rounding of integers; convert it as int8."""
    return _quantised(model, fit)


def prune(
    model: Any, fit: Fit, *, steps: int, sparsity: float = 0.5, end: float = 0.5, pattern: str | None = None
) -> Any:
    """Return a plain model of whose weights a share is zero; depthwise convolutions stay as they are.

    Args:
        model: a trained one.
        fit: trains it for this many steps.
        steps: batches in all epochs of the training together.
        sparsity: share of the weights that are zero in the end.
        end: part of the steps after which it is reached.
        pattern: "2:4" for two zeros in every four, from the first step on.

    Raises:
        OptimizeError: a number is not allowed, or the library does not take a layer.
    """
    if not 0 < sparsity < 1 or not 0 < end <= 1 or steps < 2:
        raise OptimizeError(
            f"prune: sparsity {sparsity}, end {end}, steps {steps}; allowed: 0 < sparsity < 1, 0 < end <= 1, steps > 1"
        )
    if pattern not in (None, "2:4"):
        raise OptimizeError(f"prune: pattern {pattern!r} is unknown; choose 2:4 or None")
    sparse = _library().sparsity.keras
    last = max(1, int(steps * end))
    every = max(1, last // _UPDATES)
    if pattern:
        options = {"sparsity_m_by_n": (2, 4), "pruning_schedule": sparse.ConstantSparsity(0.5, 0, frequency=every)}
    else:
        last -= last % every  # the library prunes every so many steps, and only then
        options = {"pruning_schedule": sparse.PolynomialDecay(0.0, sparsity, 0, last, frequency=every)}
    wrapped = _taken("prune", lambda: sparse.prune_low_magnitude(plain_copy(model), **options))
    fit(wrapped, [sparse.UpdatePruningStep()])
    return plain_copy(sparse.strip_pruning(wrapped))


def cluster(model: Any, fit: Fit, *, clusters: int = 32, centroids: str = "kmeans++") -> Any:
    """Return a plain model, batch norms folded, whose layers have few distinct weights each; zeros stay zeros.

    Args:
        model: a trained one; its batch norms are folded first, for folding would undo the clusters.
        fit: trains it.
        clusters: most values in a layer.
        centroids: how the first values are chosen: "kmeans++", "linear", "density" or "random". Where "kmeans++" finds
            fewer weights than clusters it fails, and "linear" is used instead.

    Raises:
        OptimizeError: a setting is not allowed, a batch norm cannot be folded, or the library does not take a layer.
    """
    if clusters < 2:
        raise OptimizeError(f"cluster: clusters is {clusters}; allowed is 2 or more")
    if centroids not in CENTROIDS:
        raise OptimizeError(f"cluster: centroids {centroids!r} is unknown; choose from {', '.join(CENTROIDS)}")
    library = _library().clustering.keras
    # The public name of it leaves out that zeros are to be kept.
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as clustering

    folded = fold_batch_norms(model)
    refuse_batch_norms(folded)
    has_zeros = _share_of_zeros(folded) > 0.1

    def wrap(choice: str) -> Any:
        return clustering.cluster_weights(
            plain_copy(folded),
            number_of_clusters=clusters,
            cluster_centroids_init=library.CentroidInitialization[CENTROIDS[choice]],
            preserve_sparsity=has_zeros,
        )

    try:
        wrapped = wrap(centroids)
    except Exception as exc:
        if centroids != "kmeans++":
            raise _refused("cluster", exc) from exc
        log.warning("centroids=%s instead=%s reason=%s", centroids, _FALL_BACK, _reason(exc))
        wrapped = _taken("cluster", lambda: wrap(_FALL_BACK))
    fit(wrapped, [])
    return plain_copy(library.strip_clustering(wrapped))


def pqat(model: Any, fit: Fit) -> Any:
    """Return a pruned model trained with the rounding of integers, zeros kept.

    Raises:
        OptimizeError: the model has no zeros to keep.
    """
    _require_zeros("pqat", model)
    return _quantised(model, fit, _PRUNED)


def cqat(model: Any, fit: Fit) -> Any:
    """Return a clustered model trained with the rounding of integers, clusters kept."""
    return _quantised(model, fit, _CLUSTERED, preserve_sparsity=False)


def pcqat(model: Any, fit: Fit) -> Any:
    """Return a pruned, then clustered model trained with the rounding of integers, zeros and clusters kept.

    Raises:
        OptimizeError: the model has no zeros to keep.
    """
    _require_zeros("pcqat", model)
    return _quantised(model, fit, _CLUSTERED, preserve_sparsity=True)


def convert(
    model: Any,
    path: Path,
    *,
    kind: str = "float",
    samples: Iterable[NDArray[np.float32]] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the model as a .tflite file and return its path.

    Args:
        model: a plain one, or, for int8, one that `qat`, `pqat`, `cqat` or `pcqat` returned.
        path: of the file; written whole or not at all.
        kind: "float" or "int8"; int8 has integer inputs and outputs too.
        samples: inputs of the model, (1, H, W, C) each, for the ranges of a plain model as int8.
        overwrite: replace a file that is there.

    Raises:
        OptimizeError: the model cannot be converted, or came out as floats where integers were asked for.
        OutputError: the file is there already, or cannot be written.
    """
    if kind not in KINDS:
        raise OptimizeError(f"kind: {kind!r} is unknown; choose from {', '.join(KINDS)}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; add overwrite to replace it, or choose another name")
    _library()
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        if samples is not None:
            kept = list(samples)
            converter.representative_dataset = lambda: ([one] for one in kept)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    data = bytes(_taken("convert", converter.convert))
    _check_input(data, path, kind)
    modelfile.refuse_unless_it_runs(data, path)
    write_whole(path, data)
    log.info("convert path=%s kind=%s bytes=%d", path, kind, len(data))
    return path


def _check_input(data: bytes, path: Path, kind: str) -> None:
    from ai_edge_litert.schema_py_generated import TensorType

    graph = modelfile.parse(data, path).graph
    found = graph.tensors[graph.inputs[0]].type
    wanted = TensorType.INT8 if kind == "int8" else TensorType.FLOAT32
    if found != wanted:
        raise OptimizeError(f"{path}: not written: the converter gave another type than {kind}; give samples for int8")


def _library() -> ModuleType:
    """Return TensorFlow Model Optimization.

    Raises:
        OptimizeError: it would find the newer Keras, which it cannot use.
    """
    if os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "true", "True"):
        raise OptimizeError(
            "TF_USE_LEGACY_KERAS: is not set; set it to 1 before TensorFlow is imported, as in: "
            "TF_USE_LEGACY_KERAS=1 python train.py"
        )
    import tensorflow_model_optimization

    library: ModuleType = tensorflow_model_optimization
    return library


def _quantised(model: Any, fit: Fit, scheme: str = _PLAIN, **options: Any) -> Any:
    """Return the model after training with fake quantisation; `scheme` is where the library keeps its rules for it."""
    library = _library().quantization.keras
    module = import_module(f"{_QUANTISATION}.{scheme}")
    kind = next(value for name, value in vars(module).items() if name.endswith("QuantizeScheme"))
    rules = _complete(kind)(**options)
    annotated = _taken("qat", lambda: library.quantize_annotate_model(plain_copy(model)))
    wrapped = _taken("qat", lambda: library.quantize_apply(annotated, rules))
    fit(wrapped, [])
    return wrapped


def _complete(kind: Any) -> Any:
    """Return these rules of the library with one put right.

    Where a ReLU layer follows a convolution or dense layer at once, it drops the rounding of the weights together with
    that between the two, and neither zeros nor clusters of that layer are kept.
    """

    class Complete(kind):  # type: ignore[misc]
        def get_layout_transformer(self) -> Any:
            inner, registry = super().get_layout_transformer(), self.get_quantize_registry()
            return SimpleNamespace(apply=lambda *graph: _weights_rounded(registry, *inner.apply(*graph)))

    return Complete


def _weights_rounded(registry: Any, model: Any, configs: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    for name, entry in configs.items():
        layer = model.get_layer(name)
        if type(entry.get("quantize_config")).__name__ != "NoOpQuantizeConfig" or not hasattr(
            layer, "kernel_initializer"
        ):
            continue
        config = registry.get_quantize_config(layer)
        config.activation_attrs, config.quantize_output = [], False
        entry["quantize_config"] = config
    return model, configs


def _taken(what: str, do: Callable[[], Any]) -> Any:
    """Return what the library makes.

    Raises:
        OptimizeError: it refuses.
    """
    try:
        return do()
    except Exception as exc:
        raise _refused(what, exc) from exc


def _refused(what: str, exc: Exception) -> OptimizeError:
    return OptimizeError(
        f"{what}: TensorFlow refuses the model ({_reason(exc)}); a sequential or functional one is taken"
    )


def _reason(exc: Exception) -> str:
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)[:300]


def _require_zeros(what: str, model: Any) -> None:
    if _share_of_zeros(model) < 0.1:
        raise OptimizeError(f"{what}: the model has next to no zero weights to keep; give what prune returned")


def _share_of_zeros(model: Any) -> float:
    kernels = [weight.numpy() for weight in model.trainable_weights if len(weight.shape) > 1]
    zeros = sum(int((one == 0).sum()) for one in kernels)
    return zeros / max(1, sum(int(one.size) for one in kernels))
