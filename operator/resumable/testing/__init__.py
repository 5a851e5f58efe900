"""For the tests of a job's author: the job runs in the test's own process, and is killed everywhere.

```python
from resumable.testing import Jobs

def test_provision_survives_everything(jobs: Jobs) -> None:      # the fixture of the pytest plugin
    assert jobs.run(provision, {"name": "Ann"}) == 4711
```
"""

from resumable.testing.jobs import Jobs
from resumable.testing.life import ProcessKilled

__all__ = ["Jobs", "ProcessKilled"]
