"""What a user sees of a spec that can't be."""


class InvalidSpec(ValueError):
    """A field of a resource is wrong. The message names the field, what is wrong and what is allowed."""

    def __init__(self, field: str, problem: str, allowed: str = "") -> None:
        """`field` is a path as kubectl writes it, like "spec.backoff.maxSeconds"."""
        self.field = field
        self.problem = problem
        self.allowed = allowed
        super().__init__(f"{field}: {problem}" + (f"; allowed: {allowed}" if allowed else ""))
