"""The whole, on a real Kubernetes: the operator as Helm installs it, jobs disturbed in every way.

`EffectLog` is the judge of each test: a file on the job's volume with a line for each thing that a worker did.
"""
