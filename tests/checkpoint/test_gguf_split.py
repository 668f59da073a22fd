"""How the tokenizer of a GGUF file splits texts: as the name in the file says, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from tiny_gguf import write_gguf
from tiny_models import make_model

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


def pieces(folder: Path, name: str, text: str) -> list[str]:
    """What the tokenizer of a GGUF file with this tokenizer.ggml.pre splits ``text`` into."""
    path = write_gguf(folder / "t.gguf", make_model("llama_tied"), GGMLQuantizationType.F32, pre_tokenizer=name)
    tokenizer = open_checkpoint(str(path)).tokenizer
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("gpt-2", "olmo", "phi-2", "exaone4"), ["a", "Ġ1234", "'s"]),
        (("smollm", "starcoder", "command-r", "minerva-7b"), ["a", "Ġ", "1", "2", "3", "4", "'s"]),
        (("qwen2", "stablelm2", "hunyuan"), ["a", "Ġ", "1", "2", "3", "4", "'s"]),
        (("llama-bpe", "chatglm-bpe", "smaug-bpe"), ["a", "Ġ", "123", "4", "'s"]),
    ],
)
def test_a_name_splits_as_llama_cpp_does(tmp_path: Path, names: tuple[str, ...], expected: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*split")
        for name in names:
            assert pieces(tmp_path, name, "a 1234's") == expected, name


def test_digits_first_differs_from_qwen_in_line_breaks(tmp_path: Path) -> None:
    assert pieces(tmp_path, "starcoder", ".\n\na") == [".", "Ċ", "Ċ", "a"]
    assert pieces(tmp_path, "stablelm2", ".\n\na") == [".ĊĊ", "a"]


@pytest.mark.parametrize("name", ["deepseek-llm", "deepseek-v3", "falcon", "bloom", "viking"])
def test_a_split_that_is_known_to_differ_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SeedTuneError, match="a split that transformers does not know") as caught:
        pieces(tmp_path, name, "a")
    assert caught.value.value == {"tokenizer.ggml.pre": name}
    assert "tokenizer.json" in str(caught.value.remedy)


@pytest.mark.parametrize(("name", "said"), [("default", "no split of texts"), ("of-tomorrow", "a split that nobody")])
def test_a_split_that_nobody_knows_is_told_of(tmp_path: Path, name: str, said: str) -> None:
    with pytest.warns(UserWarning, match=f"{said}.*GPT-2's split is taken"):
        pieces(tmp_path, name, "a")


def without_split(writer: GGUFWriter) -> None:
    """As files were before there were names."""
    del writer.kv_data[0]["tokenizer.ggml.pre"]


def test_a_file_without_a_split_is_told_of(tmp_path: Path) -> None:
    model = make_model("llama_tied")
    path = write_gguf(tmp_path / "t.gguf", model, GGMLQuantizationType.F32, also=without_split)
    with pytest.warns(UserWarning, match="names no split of texts"):
        open_checkpoint(str(path))


@pytest.mark.parametrize(("name", "expected"), [("llama-bpe", ["abc"]), ("qwen2", ["ab", "c"]), ("gpt-2", ["ab", "c"])])
def test_a_word_that_is_a_token_stays_one_where_the_model_was_trained_so(
    tmp_path: Path, name: str, expected: list[str]
) -> None:
    """No merge leads to "abc"."""

    def also(writer: GGUFWriter) -> None:
        writer.kv_data[0]["tokenizer.ggml.tokens"].value.append("abc")
        writer.kv_data[0]["tokenizer.ggml.token_type"].value.append(1)

    path = write_gguf(
        tmp_path / "t.gguf", make_model("llama_tied"), GGMLQuantizationType.F32, pre_tokenizer=name, also=also
    )
    assert open_checkpoint(str(path)).tokenizer.encode("abc", add_special_tokens=False).tokens == expected


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [("llama-bpe", None, True), ("llama-bpe", False, False), ("qwen2", None, False), ("qwen2", True, True)],
)
def test_a_text_begins_as_the_file_says_and_llama_3_as_it_was_trained(
    tmp_path: Path, name: str, said: bool | None, expected: bool
) -> None:
    def also(writer: GGUFWriter) -> None:
        if said is not None:
            writer.add_add_bos_token(said)

    path = write_gguf(
        tmp_path / "t.gguf", make_model("llama_tied"), GGMLQuantizationType.F32, pre_tokenizer=name, also=also
    )
    assert open_checkpoint(str(path)).tokenizer.encode("b").tokens == ["<s>", "b"][not expected :]


def sentencepiece(prefix: bool | None) -> Callable[[GGUFWriter], None]:
    """Makes the vocabulary sentencepiece's, with or without a space in front of a text."""

    def also(writer: GGUFWriter) -> None:
        tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", *(f"<0x{byte:02X}>" for byte in range(256))]
        tokens += [f"filler{number}" for number in range(300 - len(tokens))]
        kinds = [2, 3, 3, 1, 1, 1, 1, *[6] * 256, *[1] * (300 - 7 - 256)]
        for name in list(writer.kv_data[0]):
            if name.startswith("tokenizer."):
                del writer.kv_data[0][name]
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores([-float(index) for index in range(300)])
        writer.add_token_types(kinds)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        if prefix is not None:
            writer.add_add_space_prefix(prefix)

    return also


@pytest.mark.parametrize(("prefix", "first"), [(None, "▁a"), (True, "▁a"), (False, "a")])
def test_a_space_in_front_of_a_text_is_put_as_the_file_says(tmp_path: Path, prefix: bool | None, first: str) -> None:
    model = make_model("llama_tied")
    path = write_gguf(tmp_path / "t.gguf", model, GGMLQuantizationType.F32, also=sentencepiece(prefix))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*split")
        tokenizer = open_checkpoint(str(path)).tokenizer
    assert tokenizer.encode("a", add_special_tokens=False).tokens == [first]
    assert tokenizer.encode("b a", add_special_tokens=False).tokens[-1] == "▁a"
