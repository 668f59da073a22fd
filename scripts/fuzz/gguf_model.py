"""A tiny Llama as the parts of a GGUF file: weights of made-up values, a vocabulary of bytes."""

from __future__ import annotations

from fuzz.gguf_bytes import ARRAY, BLOCKS, F16, F32, FLOAT32, Q8_0, STRING, UINT32, Described, Field

WIDTH, INNER, HEADS, LAYERS = 32, 64, 4, 2


def vocabulary() -> list[str]:
    """Special tokens, then bytes as characters, then one joined pair."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(code) for code in printable] + [chr(256 + place) for place in range(256 - len(printable))]
    return ["<s>", "<pad>", "</s>", "<unk>", *letters, "ab"]


def model_fields() -> list[Field]:
    """The metadata."""
    tokens = vocabulary()
    numbers = {
        "llama.context_length": 64,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": 2,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.padding_token_id": 1,
    }
    texts = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
    }
    fields = [Field(key.encode(), STRING, value.encode()) for key, value in texts.items()]
    fields += [Field(key.encode(), UINT32, value) for key, value in numbers.items()]
    fields.append(Field(b"llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-6))
    fields.append(Field(b"llama.rope.freq_base", FLOAT32, 10_000.0))
    encoded = [token.encode() for token in tokens]
    fields.append(Field(b"tokenizer.ggml.tokens", ARRAY, (STRING, len(encoded), encoded)))
    fields.append(Field(b"tokenizer.ggml.token_type", ARRAY, (5, len(tokens), [3] * 4 + [1] * (len(tokens) - 4))))
    fields.append(Field(b"tokenizer.ggml.merges", ARRAY, (STRING, 1, [b"a b"])))
    return fields


def model_tensors() -> tuple[list[Described], bytes]:
    """The tensors and their data: matrices in blocks of Q8_0 or float16, vectors in float32."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (WIDTH, len(vocabulary())), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        shapes |= {block + "attn_norm": (WIDTH,), block + "ffn_norm": (WIDTH,)}
        shapes |= {block + "attn_q": (WIDTH, WIDTH), block + "attn_output": (WIDTH, WIDTH)}
        shapes |= {block + "attn_k": (WIDTH, WIDTH // 2), block + "attn_v": (WIDTH, WIDTH // 2)}
        shapes |= {block + "ffn_gate": (WIDTH, INNER), block + "ffn_up": (WIDTH, INNER)}
        shapes |= {block + "ffn_down": (INNER, WIDTH)}
    tensors, data = [], b""
    for place, (name, dimensions) in enumerate(shapes.items()):
        kind = F32 if len(dimensions) == 1 else (Q8_0, F16)[place % 2]
        count = 1
        for length in dimensions:
            count *= length
        values, size = BLOCKS[kind]
        data += bytes(-len(data) % 32)
        tensors.append(Described(f"{name}.weight".encode(), dimensions, kind, len(data)))
        # Bytes below 60 are small numbers in every type.
        data += bytes((place + byte) * 7 % 59 for byte in range(count // values * size))
    return tensors, data
