"""Removes what was kept for a time that is over, at intervals. Several replicas may do it at once."""

import asyncio
import logging
from datetime import timedelta

from resumable.service.store_threads import StoreThreads
from resumable.state.outcome import StoreError

logger = logging.getLogger(__name__)

INTERVAL = timedelta(minutes=1)


async def sweep(calls: StoreThreads, interval: timedelta) -> None:
    """Sweep until cancelled. A store that is away is swept the next time."""
    while True:
        try:
            # In a thread for reads: the one for writes is the workers', and the sweep holds no lock for long.
            if removed := await calls.read(lambda store: store.collect()):
                logger.info("removed %d results and records whose time was over", removed)
        except StoreError as error:
            logger.warning("the sweep of what is no longer kept waits for %s: %s", interval, error)
        except Exception:
            logger.exception("the sweep of what is no longer kept failed; the next is in %s", interval)
        await asyncio.sleep(interval.total_seconds())
