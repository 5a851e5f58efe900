"""ResumableJobs on Kubernetes: watch, read, ask `lifecycle.decide`, carry it out, write the status once.

Watch handlers only put a job's key on the queue (`watching`, `queue`). `reconcile` is the one idempotent pass over a
job; the rooms beside it do one thing each: `live_reads` before a mint, `carry_out` for actions, `pod_manifest` and
`pod_snapshot` between a Pod and what the decisions know of it, `dry_run`, `status_writer`, `events`.
"""
