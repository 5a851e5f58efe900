"""For the tests of a job's author: the job runs in the test's own process, and is killed everywhere.

```python
from resumable.testing import Jobs

def test_provision_survives_everything(jobs: Jobs) -> None:      # the fixture of the pytest plugin
    assert jobs.run(provision, {"name": "Ann"}) == 4711
```
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resumable.testing.jobs import Jobs
    from resumable.testing.life import ProcessKilled

__all__ = ["Jobs", "ProcessKilled"]

# The plugin is loaded by every test session, also by those that run no job.
_HOMES = {"Jobs": "resumable.testing.jobs", "ProcessKilled": "resumable.testing.life"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
