"""Why we ask an attempt to save and leave: the values of the record's `stop_requested`."""

SUSPENDED = "Suspended"
CANCELLED = "Cancelled"
ROLLOUT = "Rollout"
RESTART = "Restart"
DELETED = "ResourceDeleted"
NODE_LOST = "NodeLost"  # nobody's wish: its pod is gone or silent, and should it still live it had better leave
