"""An age identity (X25519) made here: a random key in the bech32 spelling that age and SOPS read."""

from __future__ import annotations

from collections.abc import Sequence

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SECRET = "age-secret-key-"
_PUBLIC = "age"


def new_identity() -> str:
    """The text of a new identity file: its recipient as a comment, then the secret line."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # 60 ms that few commands need

    secret = X25519PrivateKey.generate().private_bytes_raw()
    line = bech32(_SECRET, secret).upper()
    return f"# public key: {recipient(line)}\n{line}\n"


def recipient(identity: str) -> str:
    """The public key that belongs to the text of an identity file. Raises ValueError when it holds no identity."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    lines = [line.strip() for line in identity.splitlines() if line.strip().upper().startswith(_SECRET.upper())]
    if not lines:
        raise ValueError("no AGE-SECRET-KEY line")
    secret = unbech32(_SECRET, lines[0].lower())
    return bech32(_PUBLIC, X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())


def bech32(prefix: str, data: bytes) -> str:
    """BIP 173's spelling of bytes, without its length limit (as age uses it)."""
    words = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *words, 0, 0, 0, 0, 0, 0]) ^ 1
    words += [(check >> 5 * (5 - index)) & 31 for index in range(6)]
    return f"{prefix}1{''.join(_ALPHABET[word] for word in words)}"


def unbech32(prefix: str, text: str) -> bytes:
    """The bytes behind a lower-case bech32 text. Raises ValueError on a wrong prefix, letter or checksum."""
    found, _, body = text.rpartition("1")
    words = [_ALPHABET.index(letter) for letter in body]
    if found != prefix or _polymod([*_expand(prefix), *words]) != 1:
        raise ValueError("not a bech32 text of this kind, or its checksum is wrong")
    return bytes(_regroup(words[:-6], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]


def _polymod(words: Sequence[int]) -> int:
    check = 1
    for word in words:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for index, generator in enumerate(_GENERATORS):
            check ^= generator if (top >> index) & 1 else 0
    return check


def _regroup(words: Sequence[int] | bytes, width: int, into: int, *, pad: bool) -> list[int]:
    """Bits of `width` a word as words of `into` bits; what is left over is padded with zeros, or dropped."""
    value, bits, out = 0, 0, []
    for word in words:
        value = value << width | word
        bits += width
        while bits >= into:
            bits -= into
            out.append(value >> bits & (1 << into) - 1)
    if pad and bits:
        out.append(value << (into - bits) & (1 << into) - 1)
    return out
