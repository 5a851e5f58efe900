"""Which text a database takes. Names that identify are refused when they don't fit; free text is made to fit."""

from resumable.state.outcome import StoreRefused


def identifier(value: str, what: str, length: int) -> str:
    """`value`, if it can be stored and found again. Raises `StoreRefused` that names `what` it is."""
    if len(value) <= length and value.isascii() and "\0" not in value:
        return value
    if len(value) > length:
        raise StoreRefused(f"{what} has {len(value)} characters ({value[:40]!r}…); at most {length} are allowed")
    if "\0" in value:
        raise StoreRefused(f"{what} {value!r} has a NUL character in it; leave it out")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise StoreRefused(f"{what} {value!r} is no valid Unicode (a surrogate without its partner)") from None
    return value


def free_text(value: str) -> str:
    """A message as every database takes it: NUL and stray surrogates (from file names, for instance) are escaped."""
    if value.isascii() and "\0" not in value:
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def word(value: str, length: int = 128) -> str:
    """A reason or a cause, cut to what its column holds."""
    return free_text(value)[:length]
