"""What becomes of a run: pure decisions, one file a policy.

`decide.decide(job, view, pods, now)` reads a snapshot and returns a `Decision`; the controller carries it out on
Kubernetes, the local backend on processes. Nothing here reads a clock, a store or an API.
"""
