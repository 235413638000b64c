"""The keys by which prompt embeddings are found: what reading and writing them must agree on."""

from difflab.core.base.files import sha256_bytes


def caption_hash(caption: str) -> str:
    return sha256_bytes(caption.encode())


def row_key(caption_sha256: str, settings: str) -> str:
    """16 hex digits of everything that an embedding depends on."""
    return sha256_bytes(f"{caption_sha256} {settings}".encode())[:16]


def embedding_settings(meta: dict) -> str:
    """What of meta.json an embedding depends on, besides its caption."""
    return " ".join(str(meta[name]) for name in ("text_encoders", "clip_length", "max_sequence_length", "dtype"))
