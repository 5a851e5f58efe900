"""What an answer of the API server to a pod's create means."""

import pytest

from resumable.controller.dry_run import RefusalKind, refusal
from resumable.controller.kubernetes_api import ApiError

# Sentences of a real API server 1.37.
QUOTA = 'pods "quotaed-r1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0'
UNKNOWN_FIELD = (
    'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].comand"'
)
TERMINATING = 'pods "x-r0" is forbidden: unable to create new content in namespace ml because it is being terminated'
NO_ACCOUNT = 'pods "x-r0" is forbidden: error looking up service account ml/default: serviceaccount "default" not found'
POD_SECURITY = 'pods "x-r0" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'


@pytest.mark.parametrize(
    ("status", "reason", "message", "kind", "of_template"),
    [
        (400, "BadRequest", UNKNOWN_FIELD, RefusalKind.TEMPLATE, True),
        (422, "Invalid", 'Pod "x-r0" is invalid: spec.containers: Required value', RefusalKind.TEMPLATE, True),
        (403, "Forbidden", POD_SECURITY, RefusalKind.FORBIDDEN, True),
        (403, "Forbidden", QUOTA, RefusalKind.QUOTA, False),
        (403, "Forbidden", TERMINATING, RefusalKind.NAMESPACE, False),
        (403, "Forbidden", NO_ACCOUNT, RefusalKind.ACCOUNT, False),
        (429, "TooManyRequests", "please wait", RefusalKind.LATER, False),
        (500, "InternalError", 'failed calling webhook "policy.example"', RefusalKind.LATER, False),
    ],
)
def test_a_refusal_is_told_apart_by_what_can_be_done_about_it(
    status: int, reason: str, message: str, kind: RefusalKind, of_template: bool
) -> None:
    answer = refusal(ApiError(status, reason, message))
    assert (answer.kind, answer.message, answer.of_template) == (kind, message, of_template)
