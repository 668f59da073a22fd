"""Tokenizers of kinds that the tiny models have not: BERT's, and one that splits as Llama 3 and Qwen do."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors


def word_pieces() -> Tokenizer:
    """BERT's tokenizer with a small vocabulary."""
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-",
        "the",
        "film",
        "good",
    ]
    pieces += [f"##{piece}" for piece in [*"abcdefghijklmnopqrstuvwxyz0123456789", "ing", "ed"]] + [
        "看",
        "电",
        "影",
        "ф",
        "##и",
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(pieces[:5])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def split_by_pattern(tokenizer: Tokenizer) -> Tokenizer:
    """The same vocabulary, split as Llama 3 and Qwen split, composed first."""
    from tokenizers import Regex

    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    pattern += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.normalizer = normalizers.NFC()
    copy.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return copy
