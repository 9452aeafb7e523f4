"""Folders of speech networks, before anything runs and without transformers."""

import json

import pytest

torch = pytest.importorskip("torch")

from d3talker.artifacts import ArtifactError, save_tensors  # noqa: E402
from d3talker.metrics.check_weights import problems  # noqa: E402
from d3talker.speech.pretrained_folder import check_folder, weights_file  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "hubert", "hidden_size": 1024}')
    (tmp_path / "preprocessor_config.json").write_text("{}")
    save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(100)})
    return tmp_path


def test_a_whole_folder_is_taken_with_either_file_of_weights(folder):
    assert check_folder("hubert", folder)["hidden_size"] == 1024
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(3)}, folder / "pytorch_model.bin")
    check_folder("hubert", folder)
    assert weights_file(folder).name == "pytorch_model.bin"
    assert problems({"hubert": str(folder)}) == []


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", None, "lacks config.json"),
        ("preprocessor_config.json", None, "lacks preprocessor_config.json"),
        ("model.safetensors", None, "has neither model.safetensors nor pytorch_model.bin"),
        ("model.safetensors", b"cut", "model.safetensors: "),
        ("config.json", b"{", "not the weights of hubert"),
        ("config.json", b'{"model_type": "bert"}', "config.json is of bert, not hubert"),
        (
            "config.json",
            json.dumps({"model_type": "hubert", "hidden_size": 768}).encode(),
            "gives 768 channels, not 1024",
        ),
    ],
)
def test_another_folder_is_named_with_its_reason_and_source(folder, file, content, reason):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=reason) as error:
        check_folder("hubert", folder)
    assert "facebook/hubert-large-ls960-ft" in str(error.value)
    assert "Apache-2.0" in str(error.value)


def test_a_pickle_of_foreign_objects_is_not_opened(folder):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match="not the weights of hubert"):
        check_folder("hubert", folder)


def test_the_letters_of_wav2vec_are_those_of_esperanto(folder):
    (folder / "config.json").write_text('{"model_type": "wav2vec2", "vocab_size": 32}')
    with pytest.raises(ArtifactError, match="gives 32 channels, not 44"):
        check_folder("wav2vec", folder)
