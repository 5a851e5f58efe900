"""What is done to a value's bytes on the way to the store, and undone on the way back.

A record's codec names it, in order: `json`, `json+zlib`, `json+zlib+aes256gcm:1f2e3d4c` (the key's id). So records of
any age are read side by side.
"""

from resumable.sdk.codec.compression import THRESHOLD, compressed, decompressed
from resumable.sdk.codec.encryption import keyring, no_key
from resumable.sdk.errors import EncryptionKeyError, UnreadableResult
from resumable.state.record import Encoded

_ZLIB = "+zlib"
_AES = "+aes256gcm:"


def seal(form: str, data: bytes) -> Encoded:
    """The record of a value that has the given form ("json"). Raises `EncryptionKeyError`."""
    keys = keyring()
    if keys is None and len(data) < THRESHOLD:
        return Encoded(form, data)
    packed = compressed(data)
    if packed is not None:
        form, data = form + _ZLIB, packed
    if keys is not None:
        key_id, data = keys.encrypt(data, form)
        form = f"{form}{_AES}{key_id}"
    return Encoded(form, data)


def unseal(encoded: Encoded, *, of: str) -> tuple[str, bytes]:
    """The form ("json") and the value's bytes. Raises `UnreadableResult`, `EncryptionKeyError`."""
    form, data = encoded.codec, encoded.data
    if "+" not in form:
        return form, data
    try:
        if _AES in form:
            form, _, key_id = form.partition(_AES)
            keys = keyring()
            if keys is None:
                raise no_key(key_id)
            data = keys.decrypt(key_id, data, form)
        if form.endswith(_ZLIB):
            form, data = form.removesuffix(_ZLIB), decompressed(data)
    except EncryptionKeyError as error:
        raise EncryptionKeyError(f"{of} can't be read: {error}") from error
    except ValueError as error:
        raise UnreadableResult(f"{of} can't be read: {error}") from error
    return form, data
