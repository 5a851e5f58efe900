"""A run whose record can't be decrypted is paused: neither the job nor a retry can mend it, and nothing is lost."""

from resumable.sdk.errors import EncryptionKeyError, Paused
from resumable.state.record import RunStatus
from resumable.state.store import RunEnd

ENCRYPTION_KEY_MISSING = "EncryptionKeyMissing"


def paused_without_key(error: EncryptionKeyError) -> Paused:
    """What to leave with."""
    message = f"{error}; the run is paused until then"
    return Paused(message, end=RunEnd(status=RunStatus.PAUSED, reason=ENCRYPTION_KEY_MISSING, message=message))
