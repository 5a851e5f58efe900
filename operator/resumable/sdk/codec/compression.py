"""Large values are compressed, if that makes them smaller. A record is read whole on each resume, and passes through
the worker, the service and the database.
"""

import zlib

from resumable.state.limits import LARGEST_VALUE

THRESHOLD = 4096  # bytes; below, a database page is not filled anyway
_LEVEL = 3  # JSON gets hardly smaller with more, and takes several times as long


def compressed(data: bytes) -> bytes | None:
    """Smaller by a tenth at least; None: not worth it."""
    if len(data) < THRESHOLD:
        return None
    packed = zlib.compress(data, _LEVEL)
    return packed if len(packed) <= len(data) * 0.9 else None


def decompressed(data: bytes, limit: int = LARGEST_VALUE) -> bytes:
    """Raises `ValueError` for what is damaged or would be larger than the limit: a few kB can expand to gigabytes."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"its compressed data is damaged ({error})") from None
    if len(unpacked) > limit:
        raise ValueError(f"decompressed it has more than {limit:,} bytes, the most that a value may have")
    if not unpacking.eof:
        raise ValueError("its compressed data is cut off")
    return unpacked
