"""What a job's author imports: jobs, steps, and the process's one attempt at a run.

`job` is where to begin. `step_run` is one call of a step in phases, which a plain job (`step`) and an async one drive
in their own style; what is promised of a step is a file each (`retry`, `effects`, `step_timeout`, `compensation`,
`transaction`, `retention`, …). `attempt` speaks to the store, `interruption` and `watchdog` to whoever wants the
process to stop, `context` and `checkpoint` save progress inside a step, `codec` and `inputs` move the author's values
in and out. Light on purpose: no SQL, HTTP or Kubernetes client is imported before a store is opened.
"""

from resumable.sdk.watchdog import exit_on_early_sigterm

exit_on_early_sigterm()
