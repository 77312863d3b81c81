"""Words go, and nothing that anything reads."""

from __future__ import annotations

import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import OptimizeError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.packed import read_packed_text
from edge_runtime.optimize.modelfile import load, to_bytes
from edge_runtime.optimize.strip import check, kept_of, strip
from tests.factory.metadata import embedded_metadata
from tests.factory.models import TF2_NAMES, TF2_SIGNATURE, write_ssd
from tests.factory.schema import load_schema
from tests.optimize.graphs import edit, equal, read_objects, run_net, write_net


@pytest.fixture
def target(tmp_path):
    return tmp_path / "stripped.tflite"


def test_inner_names_go_and_the_model_is_smaller(tmp_path, target):
    """A tiny network is a fifth names."""
    net = write_net(tmp_path / "net.tflite")
    before = net.read_bytes()
    strip(net, target)
    model = read_objects(target)
    assert {tensor.name for tensor in model.subgraphs[0].tensors} == {b"image", b"head", None}
    assert (model.description, model.subgraphs[0].name) == (None, None)
    assert target.stat().st_size < net.stat().st_size
    assert equal(run_net(target), run_net(net))
    assert net.read_bytes() == before


def test_all_that_the_runtime_reads_stays(tmp_path, target):
    """Decoders tell outputs apart by their names, in the graph and in the signature; labels are behind the model."""
    ssd = write_ssd(
        tmp_path / "ssd.tflite", names=TF2_NAMES, signature_names=TF2_SIGNATURE,
        metadata=embedded_metadata(), packed={"labelmap.txt": "person\ncar\n"},
    )  # fmt: skip
    strip(ssd, target)
    old, new = read_model(ssd), read_model(target)
    assert (new.inputs, new.outputs, new.signature, new.metadata) == (
        old.inputs,
        old.outputs,
        old.signature,
        old.metadata,
    )
    assert {end.signature_name for end in new.outputs} == set(TF2_SIGNATURE.values())
    assert read_packed_text(target, ["labelmap.txt"]) == ("labelmap.txt", "person\ncar\n")
    assert equal(run_net(target), run_net(ssd))


def test_a_stripped_model_can_be_stripped_again(tmp_path, target):
    """The last step of a chain may be repeated."""
    strip(write_net(tmp_path / "net.tflite", signature=None), target)
    strip(target, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == target.read_bytes()


def test_metadata_without_bytes_and_signatures_without_inputs_are_no_obstacle(tmp_path, target):
    """Converters write both; they are kept as they are."""

    def empty(model):
        schema = load_schema()
        model.metadata = [schema.MetadataT(name="flag", buffer=0)]
        model.signatureDefs[0].inputs = None

    net = edit(write_net(tmp_path / "net.tflite"), empty)
    strip(net, target)
    model = read_objects(target)
    assert [entry.name for entry in model.metadata] == [b"flag"]
    assert [entry.name for entry in model.signatureDefs[0].outputs] == [b"scores"]


def test_a_result_that_was_not_stripped_or_lost_something_is_an_error(tmp_path):
    """A variant that says it is stripped is; and one without its output names cannot be decoded."""
    net = load(write_net(tmp_path / "net.tflite"))
    size_bytes = len(to_bytes(net.model))
    with pytest.raises(OptimizeError, match=r"expected fewer than [\d,]+ bytes and no inner names, found .+ names"):
        check(net, kept_of(net), size_bytes, removed=3)
    strip(net.path, tmp_path / "stripped.tflite")
    lost = edit(tmp_path / "stripped.tflite", lambda model: setattr(model, "signatureDefs", None))
    with pytest.raises(OptimizeError, match="stripping changed names, metadata or packed files"):
        check(load(lost), kept_of(net), size_bytes, removed=3)


@pytest.mark.parametrize("file", ["ssd_mobilenet_v1_coco_quant_metadata", "ssd_mobilenet_v2_fpnlite_320_coco_float_io"])
def test_real_detectors_are_stripped_and_answer_the_same(shared, target, file):
    """TF1 with metadata and labels, TF2 with a signature."""
    source = shared / "models" / f"{file}.tflite"
    strip(source, target)
    assert target.stat().st_size < source.stat().st_size - 5000
    assert read_model(target).outputs == read_model(source).outputs
    assert read_model(target).metadata == read_model(source).metadata
    assert read_packed_text(target, ["labelmap.txt"]) == read_packed_text(source, ["labelmap.txt"])
    assert equal(run_net(target), run_net(source))
