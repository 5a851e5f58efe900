"""Encryption of what the store keeps, with keys that only the workers have: `RESUMABLE_ENCRYPTION_KEYS`.

The variable lists keys, the newest first: the first encrypts, each decrypts. A new key is put in front; an old one can
go when no record names its id any more. AES-256-GCM with a random nonce; what the data is (`json+zlib`) is
authenticated with it. The store still sees names, sizes and times, and could give one record in place of another.
"""

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resumable.sdk.errors import EncryptionKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTION_KEYS = "RESUMABLE_ENCRYPTION_KEYS"

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MAKE_ONE = "make one with: openssl rand -base64 32"


@dataclass(frozen=True)
class Keyring:
    """The keys by their ids, the newest first."""

    keys: "dict[str, AESGCM]"

    def encrypt(self, data: bytes, kind: str) -> tuple[str, bytes]:
        """The id of the key, and the nonce with the ciphertext. `kind` is authenticated with it."""
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(_NONCE_BYTES)
        return key_id, nonce + key.encrypt(nonce, data, kind.encode())

    def decrypt(self, key_id: str, data: bytes, kind: str) -> bytes:
        """Raises `EncryptionKeyError` without the key, `ValueError` for data that isn't what was encrypted."""
        from cryptography.exceptions import InvalidTag

        key = self.keys.get(key_id)
        if key is None:
            there = f"has {', '.join(self.keys)}"
            raise EncryptionKeyError(_missing(key_id, there))
        try:
            return key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], kind.encode())
        except InvalidTag:
            raise ValueError(f"it is not what was encrypted with the key {key_id}: damaged, or changed") from None


@functools.cache
def keyring() -> Keyring | None:
    """What the environment lists; None: nothing is encrypted. Read once. Raises `EncryptionKeyError`."""
    texts = os.environ.get(ENCRYPTION_KEYS, "").replace(",", " ").split()
    if not texts:
        return None
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise EncryptionKeyError(
            f"{ENCRYPTION_KEYS} is set, but the package cryptography is not installed: install"
            " resumable-jobs[encryption] in the job's image"
        ) from None
    keys = [_key(text, place) for place, text in enumerate(texts, 1)]
    return Keyring({key_id(key): AESGCM(key) for key in keys})


def no_key(key_id: str) -> EncryptionKeyError:
    """A record is encrypted, and no key is there at all."""
    return EncryptionKeyError(_missing(key_id, "is not set"))


def key_id(key: bytes) -> str:
    """By which a record names its key, and which tells nothing of it: 8 hexadecimal digits."""
    import hashlib

    return hashlib.sha256(b"resumable key id\0" + key).hexdigest()[:8]


def _key(text: str, place: int) -> bytes:
    import base64
    import binascii

    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise EncryptionKeyError(f"{ENCRYPTION_KEYS}: key {place} is not base64; {_MAKE_ONE}") from None
    if len(key) != _KEY_BYTES:
        raise EncryptionKeyError(
            f"{ENCRYPTION_KEYS}: key {place} has {len(key)} bytes; a key has {_KEY_BYTES}, as base64; {_MAKE_ONE}"
        )
    return key


def _missing(key_id: str, there: str) -> str:
    return (
        f"it is encrypted with the key {key_id}, and {ENCRYPTION_KEYS} {there}; put that key into the list again,"
        " behind the newest: what is stored is kept as it is"
    )
