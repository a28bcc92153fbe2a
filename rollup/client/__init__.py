"""The Python client of a network: ask for an inference, wait until its claim is final, and trust no server about it.

with Client("http://127.0.0.1:8080", l1=("http://127.0.0.1:8545", "deployment.json")) as client:
    answer = client.infer("digits", image)
    client.wait_final(answer)
    client.verify_inclusion(answer)
"""

from rollup.client.asking import RequestView
from rollup.client.asynchronous import DEFAULT_URL, AsyncClient
from rollup.client.receipts import VerifiedAnswer
from rollup.client.synchronous import Client
from rollup.client.verify import Verified
from rollup.client.views import BatchView, ClaimView, Event, Inference, ModelView, State, Tensor
from rollup.http import Bounds

__all__ = [
    "DEFAULT_URL",
    "AsyncClient",
    "BatchView",
    "Bounds",
    "ClaimView",
    "Client",
    "Event",
    "Inference",
    "ModelView",
    "RequestView",
    "State",
    "Tensor",
    "Verified",
    "VerifiedAnswer",
]
