"""Names on the wire: the API group, labels, annotations, finalizers. One place, so that none is spelled twice."""

GROUP = "resumable.dev"
VERSION = "v1alpha1"
KIND = "ResumableJob"
PLURAL = "resumablejobs"
SIGNAL_KIND = "ResumableSignal"
SIGNAL_PLURAL = "resumablesignals"
API_VERSION = f"{GROUP}/{VERSION}"

# On worker pods.
LABEL_JOB_NAME = f"{GROUP}/job-name"
LABEL_RUN = f"{GROUP}/run"  # the run's id
LABEL_ATTEMPT = f"{GROUP}/attempt"
ANNOTATION_TEMPLATE_HASH = f"{GROUP}/template-hash"
ANNOTATION_NONCE_HASH = (
    f"{GROUP}/nonce-hash"  # which mint of this number the pod belongs to; a hash, as the nonce is a secret
)
ANNOTATION_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

# On the job, set to "true" by a person: when it is deleted, let it go although its state can't be reached.
ANNOTATION_ABANDON_STATE = f"{GROUP}/abandon-state"

# On worker pods until their end is counted; on the job until its pods are gone and its state is dealt with.
FINALIZER = f"{GROUP}/tracking"

# Audience of the projected ServiceAccount token with which a worker proves itself to the state service.
TOKEN_AUDIENCE = f"state.{GROUP}"

MAX_NAME_LENGTH = 52


def pod_name(job_name: str, attempt: int) -> str:
    """`<job>-r<attempt>`: not `<job>-1`, which a StatefulSet may own."""
    return f"{job_name}-r{attempt}"
