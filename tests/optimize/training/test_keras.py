"""The techniques on a Keras model, in one interpreter that has the older Keras switched on."""

from __future__ import annotations

import os

# ruff: noqa: E402 (what needs TensorFlow comes after the question whether it is there)
import numpy as np
import pytest

from edge_runtime.errors import OptimizeError, OutputError

if not __import__("importlib.util").util.find_spec("tensorflow_model_optimization"):
    pytest.skip("not installed: pip install 'edge-runtime[tfmot]'", allow_module_level=True)
os.environ["TF_USE_LEGACY_KERAS"] = "1"

pytestmark = pytest.mark.filterwarnings("ignore")  # of TensorFlow's own parts, at each step

import tf_keras
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.optimize.training import keras
from edge_runtime.optimize.training.keras_fold import fold_batch_norms

layers = tf_keras.layers
X = np.random.default_rng(0).random((64, 16, 16, 3), dtype=np.float32)
Y = (X.mean((1, 2, 3)) * 1000).astype(int) % 4
SAMPLES = [X[i : i + 1] for i in range(16)]


def net():
    """Return a network with a residual block, a depthwise convolution, and batch norms that do something."""
    tf_keras.utils.set_random_seed(0)
    image = layers.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(8, 1)(y))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(layers.Add()([x, y])))
    model = tf_keras.Model(image, layers.Dense(4, activation="softmax")(x))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, one.shape) for one in layer.get_weights()])
    return model


def fit(model, callbacks):
    """Train for twenty steps."""
    model.compile(tf_keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(X, Y, batch_size=16, epochs=5, verbose=0, callbacks=list(callbacks))


def kernels(model):
    return {one.name: one.numpy() for one in model.trainable_weights if len(one.shape) > 1}


def constants(path):
    """Return the int8 weights of a file, of convolutions and dense layers that are not depthwise."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    steps = interpreter._get_ops_details()
    chosen = [int(one["inputs"][1]) for one in steps if one["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    return [interpreter.get_tensor(index) for index in chosen]


@pytest.fixture(scope="module")
def model():
    return net()


@pytest.fixture(scope="module")
def pruned(model):
    return keras.prune(model, fit, steps=20)


@pytest.fixture(scope="module")
def clustered(model):
    return keras.cluster(model, fit, clusters=8)


def test_a_folded_copy_computes_the_same(model):
    """Clusters survive only what comes after folding, so folding has to be exact."""
    folded = fold_batch_norms(model)
    assert not [one for one in folded.layers if isinstance(one, layers.BatchNormalization)]
    np.testing.assert_allclose(folded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-5)


def test_a_sequential_model_is_folded_too(model):
    """The other way to write a Keras model."""
    made = tf_keras.Sequential([layers.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
    made.layers[1].set_weights([np.full(4, value, np.float32) for value in (1.5, 0.2, 0.3, 2.0)])
    folded = fold_batch_norms(made)
    assert len(folded.layers) == 1
    np.testing.assert_allclose(folded.predict(X, verbose=0), made.predict(X, verbose=0), atol=1e-5)


def test_a_batch_norm_behind_an_activation_is_named():
    """Its factor would have to go through the activation."""
    made = tf_keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(name="late")]
    )
    with pytest.raises(OptimizeError, match=r"^late: this batch norm follows no"):
        keras.cluster(made, fit)


def test_pruning_makes_half_of_the_weights_zero(pruned):
    """The share that was asked for, at the end of a training of exactly these steps."""
    for name, kernel in kernels(pruned).items():
        if "depthwise" not in name:
            assert float((kernel == 0).mean()) == pytest.approx(0.5, abs=0.02)


def test_two_of_four_is_kept_along_input_channels(model):
    """A layer of three input channels cannot have the pattern whole; the others do."""
    sparse = keras.prune(model, fit, steps=20, pattern="2:4")
    kernel = next(value for name, value in kernels(sparse).items() if "conv2d_1" in name or value.shape[:2] == (1, 1))
    fours = kernel.transpose(0, 1, 3, 2).reshape(-1, 4)
    assert ((fours == 0).sum(axis=1) >= 2).all()


def test_clusters_are_few_and_the_batch_norms_gone(clustered):
    """Eight values a layer, in a model from which nothing more will be folded."""
    assert not [one for one in clustered.layers if isinstance(one, layers.BatchNormalization)]
    for name, kernel in kernels(clustered).items():
        if "depthwise" not in name:
            assert len(np.unique(kernel)) <= 8


def test_the_model_given_is_as_it_was(model, pruned, clustered):
    """The library changes what it wraps; it is given a copy."""
    for one, other in zip(model.get_weights(), net().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [type(one) for one in model.layers] == [type(one) for one in net().layers]


def test_quantisation_aware_training_gives_a_file_of_integers(model, tmp_path):
    """The ranges were learned; no samples are asked for."""
    path = keras.convert(keras.qat(model, fit), tmp_path / "qat.tflite", kind="int8")
    assert all(one.dtype == np.int8 for one in constants(path))


def test_pqat_keeps_zeros_in_the_file(pruned, tmp_path):
    """Where they count: in the integers on the board."""
    path = keras.convert(keras.pqat(pruned, fit), tmp_path / "pqat.tflite", kind="int8")
    assert all(float((one == 0).mean()) >= 0.48 for one in constants(path))


def test_cqat_keeps_clusters_in_each_channel_of_the_file(clustered, tmp_path):
    """Each channel has a scale of its own, so the values are few in each of them."""
    path = keras.convert(keras.cqat(clustered, fit), tmp_path / "cqat.tflite", kind="int8")
    for weight in constants(path):
        assert all(len(np.unique(channel)) <= 8 for channel in weight)


def test_pcqat_keeps_both(pruned, tmp_path):
    """Zeros and clusters, through clustering and quantisation-aware training."""
    both = keras.cluster(pruned, fit, clusters=8)
    path = keras.convert(keras.pcqat(both, fit), tmp_path / "pcqat.tflite", kind="int8")
    for weight in constants(path):
        assert float((weight == 0).mean()) >= 0.45
        assert all(len(np.unique(channel)) <= 8 for channel in weight)


@pytest.mark.parametrize("technique", [keras.pqat, keras.pcqat])
def test_nothing_to_keep_is_an_error(technique, model):
    """It would be plain quantisation-aware training under another name."""
    with pytest.raises(OptimizeError, match="no zero weights to keep"):
        technique(model, fit)


def test_a_plain_model_becomes_floats_or_integers(model, tmp_path):
    """Both from one model, each a file that loads."""
    whole = keras.convert(model, tmp_path / "float.tflite")
    small = keras.convert(model, tmp_path / "int8.tflite", kind="int8", samples=SAMPLES)
    assert {one.dtype for one in constants(whole)} == {np.dtype(np.float32)}
    assert {one.dtype for one in constants(small)} == {np.dtype(np.int8)}


def test_a_file_that_is_there_is_kept(model, tmp_path):
    """It may be the only copy."""
    path = tmp_path / "net.tflite"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        keras.convert(model, path)
    assert path.read_bytes() == b"mine"


def test_the_newer_keras_is_refused_in_one_line(model, monkeypatch):
    """TensorFlow's own message comes from deep inside, and names no remedy."""
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    with pytest.raises(OptimizeError, match="set it to 1 before TensorFlow is imported"):
        keras.qat(model, fit)


def test_few_weights_fall_back_to_centroids_at_equal_distances(caplog):
    """One way of choosing fails where a layer has fewer weights than clusters; the training goes on with another."""
    made = tf_keras.Sequential([layers.Input((4,)), layers.Dense(3)])

    def short(model, callbacks):
        model.compile("adam", "mse")
        model.fit(np.ones((4, 4), np.float32), np.ones((4, 3), np.float32), verbose=0, callbacks=list(callbacks))

    kernel = made.layers[0].get_weights()[0]
    kernel[:3] = 0.0
    made.layers[0].set_weights([kernel, np.zeros(3, np.float32)])
    with caplog.at_level("WARNING"):
        found = keras.cluster(made, short, clusters=32)
    assert "centroids=kmeans++ instead=linear" in caplog.text
    weights = found.get_weights()[0]
    assert np.isfinite(weights).all()
    assert (weights[:3] == 0).all()
