"""A model comes back from memory as it went in, whole, or not at all."""

from __future__ import annotations

import resource
import zipfile

import pytest

pytest.importorskip("ai_edge_litert", reason="the toolchain needs ai-edge-litert")

from edge_runtime.errors import ModelError, OptimizeError, OutputError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.packed import read_packed_text
from edge_runtime.optimize.layers import layers_of
from edge_runtime.optimize.modelfile import carry, load, pack, save
from tests.factory.broken import NOT_A_MODEL, write_broken
from tests.factory.models import write_ssd
from tests.factory.schema import load_schema
from tests.optimize.graphs import edit, equal, put_behind, read_objects, run_net, write_net

PACKED = {"labels.txt": "person\n"}


@pytest.fixture
def net(tmp_path):
    return write_net(tmp_path / "net.tflite", metadata=b"said by the maker", packed=PACKED)


def test_a_model_that_is_loaded_and_saved_computes_the_same(net, tmp_path):
    """Every pass rests on it."""
    before = net.read_bytes()
    save(load(net), tmp_path / "copy.tflite")
    assert equal(run_net(tmp_path / "copy.tflite"), run_net(net))
    old, new = read_model(net), read_model(tmp_path / "copy.tflite")
    assert (new.operators, new.inputs, new.outputs, new.metadata) == (
        old.operators, old.inputs, old.outputs, b"said by the maker",
    )  # fmt: skip
    assert read_packed_text(tmp_path / "copy.tflite", ["labels.txt"]) == ("labels.txt", "person\n")
    assert net.read_bytes() == before


def test_weights_are_aligned_as_the_format_demands(net, tmp_path):
    """The Python writer of flatbuffers leaves it out; 32-bit boards may stop at a float that is not aligned."""
    save(load(net), tmp_path / "copy.tflite")
    data = (tmp_path / "copy.tflite").read_bytes()
    model = load_schema().Model.GetRootAs(data, 0)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if not buffer.DataIsNone()]
    assert len(starts) > 8
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_weights_behind_the_flatbuffer_are_taken_inside(tmp_path):
    """The quantiser writes larger models so; left where they are they would be lost with the first change of size."""
    net = write_net(tmp_path / "net.tflite")
    inside = run_net(net)
    put_behind(net)
    with zipfile.ZipFile(net, "a") as archive:
        archive.writestr("labels.txt", "person\n")
    assert equal(run_net(net), inside)
    save(load(net), tmp_path / "copy.tflite")
    assert all(buffer.offset == 0 for buffer in read_objects(tmp_path / "copy.tflite").buffers)
    assert equal(run_net(tmp_path / "copy.tflite"), inside)
    assert read_packed_text(tmp_path / "copy.tflite", ["labels.txt"]) == ("labels.txt", "person\n")


def test_a_model_is_never_written_over_the_one_it_is_made_from(net, tmp_path):
    """By whatever name: a wrong step must be able to start again."""
    (tmp_path / "link.tflite").symlink_to(net)
    before = net.read_bytes()
    for path in (net, tmp_path / "link.tflite"):
        with pytest.raises(OutputError, match="is the model this is made from; give the output another name"):
            save(load(net), path)
    assert net.read_bytes() == before


def test_what_the_engine_does_not_load_is_not_written(net, tmp_path):
    """A broken variant must not be found on the board."""
    model = load(net)
    model.graph.operators[0].inputs = model.graph.operators[0].inputs[:1]  # a convolution without weights
    with pytest.raises(OptimizeError, match=r"out.tflite: not written: litert does not load it \(.+\)"):
        save(model, tmp_path / "out.tflite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.tflite"]


def test_what_does_not_pass_its_check_is_not_written(net, tmp_path):
    """The check sees the file as it would be, before it has its name."""
    target = tmp_path / "out.tflite"
    target.write_bytes(b"yesterday's")

    def refuse(written):
        assert len(written.graph.tensors) == len(load(net).graph.tensors)
        raise OptimizeError("not what was meant")

    with pytest.raises(OptimizeError, match="not what was meant"):
        save(load(net), target, check=refuse)
    assert target.read_bytes() == b"yesterday's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.tflite", "out.tflite"]


def test_a_disk_that_fills_up_leaves_what_was_there(net, tmp_path):
    """Half a model with the name of a whole one would be run."""
    model, target = load(net), tmp_path / "out.tflite"
    target.write_bytes(b"yesterday's")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(
            OutputError, match=r"out.tflite: cannot be written \(File too large\); choose another place"
        ):
            save(model, target)
        with pytest.raises(OutputError, match="cannot be written"):
            pack(net, {"a.txt": "b"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert target.read_bytes() == b"yesterday's"
    assert read_packed_text(net, ["labels.txt"]) == ("labels.txt", "person\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.tflite", "out.tflite"]


def test_a_folder_that_is_not_there_is_one_line(net, tmp_path):
    """And not the name of a temporary file nobody asked for."""
    with pytest.raises(OutputError, match=r"gone/out.tflite: cannot be written \(No such file or directory\)"):
        save(load(net), tmp_path / "gone" / "out.tflite")


def test_a_packed_file_is_found_by_the_runtime_and_the_model_runs_on(net):
    """So the sidecar travels inside the model, beside what its maker packed."""
    before = run_net(net)
    net.chmod(0o600)
    pack(net, {"edge-runtime.toml": "mean = 1\n"})
    pack(net, {"edge-runtime.toml": "mean = 2\n"})
    assert read_packed_text(net, ["edge-runtime.toml"]) == ("edge-runtime.toml", "mean = 2\n")
    assert read_packed_text(net, ["labels.txt"]) == ("labels.txt", "person\n")
    assert equal(run_net(net), before)
    assert net.stat().st_mode & 0o777 == 0o600


def test_packed_files_are_carried_to_a_model_that_lost_them(net, tmp_path):
    """The quantiser writes the model alone, and the labels were behind it."""
    bare = write_ssd(tmp_path / "bare.tflite")
    front = bare.read_bytes()
    carry(net, bare)
    assert read_packed_text(bare, ["labels.txt"]) == ("labels.txt", "person\n")
    assert bare.read_bytes().startswith(front)
    lone = write_ssd(tmp_path / "lone.tflite")
    before = lone.read_bytes()
    carry(write_net(tmp_path / "plain.tflite"), lone)
    assert lone.read_bytes() == before


def test_an_edge_tpu_model_is_refused_before_anything_is_tried(tmp_path):
    """Its weights are inside the compiled part, where no pass can reach them."""
    path = write_broken("edgetpu", tmp_path / "tpu.tflite")
    with pytest.raises(
        ModelError, match="is compiled for the Edge TPU and shows no weights; give the model it was made"
    ):
        load(path)


@pytest.mark.parametrize("kind", NOT_A_MODEL)
def test_what_is_no_model_is_one_line(tmp_path, kind):
    """The tools under this raise IndexErrors and struct.errors on such files."""
    path = write_broken(kind, tmp_path / "broken.tflite")
    with pytest.raises(ModelError):
        load(path)


def test_weights_that_do_not_fill_their_shape_are_one_line(tmp_path):
    """The runtime's own look at a file does not read the weights; a pass does, and must not die in numpy."""

    def cut(model):
        for buffer in model.buffers[1:]:
            buffer.data = buffer.data[:7]

    path = edit(write_net(tmp_path / "cut.tflite"), cut)
    with pytest.raises(ModelError, match=r"cut.tflite: is damaged: tensor .+ has 7 bytes; copy or download it again"):
        layers_of(load(path))


def test_metadata_that_names_weights_that_are_not_there_is_one_line(tmp_path):
    """A damaged file, found before a pass has begun."""

    def bend(model):
        model.metadata[0].name, model.metadata[0].buffer = "flag", 999

    path = edit(write_net(tmp_path / "bent.tflite", metadata=b"said"), bend)
    with pytest.raises(ModelError, match=r"bent.tflite: is damaged or cut short: list index out of range"):
        load(path)
