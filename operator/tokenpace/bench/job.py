"""A benchmark as a Job: the same command, in the cluster, in any image that holds tokenpace."""

from collections.abc import Mapping
from typing import Any

from tokenpace.api.names import VARIANT_LABEL
from tokenpace.bench.errors import BenchError
from tokenpace.bench.options import SELF, Options, arguments

NAME = "tokenpace-bench"


def job(options: Options, *, image: str, variant: str | None) -> Mapping[str, Any]:
    """Return the manifest. Its log is the result: comments for the progress, then JSON.

    Raises:
        BenchError: an option names a file, which the pod would not have.
    """
    if options.reference not in (None, SELF) or options.trace:
        raise BenchError("--job: a pod has no file of yours: leave out --reference (compare afterwards) and --trace")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME, "labels": {VARIANT_LABEL: variant} if variant else {}},
        "spec": {
            "backoffLimit": 0,  # a second run would measure something else
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "bench",
                            "image": image,
                            "args": ["bench", *arguments(options), "--out=-"],
                            # No limit: throttled, it would measure itself, and say so.
                            "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                }
            },
        },
    }
