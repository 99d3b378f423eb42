"""The firms' library: enrol, log in, ask, see cost and error bars, keep a receipt.

``SyncGateway`` is for notebooks and scripts, ``Gateway`` for asyncio; both say the same words and
answer with pandas frames. A ``StoredReceipt`` proves offline that an answer stands in the gateway's log.
Nothing of the server is imported here, so a firm installs only the base distribution.
"""

from gateway.client.answer import Answer
from gateway.client.decryption import DecryptionKey
from gateway.client.failures import AnswerRefused, ClientFailure, GatewayUnreachable, ProfileInvalid
from gateway.client.keys import ClientKey
from gateway.client.login import Prompt
from gateway.client.problem import GatewayProblem
from gateway.client.profile import Profile
from gateway.client.receipt import StoredReceipt, verify_file
from gateway.client.saved import SavedRequest
from gateway.client.session import Gateway
from gateway.client.sync import SyncGateway

__all__ = [
    "Answer",
    "AnswerRefused",
    "ClientFailure",
    "ClientKey",
    "DecryptionKey",
    "Gateway",
    "GatewayProblem",
    "GatewayUnreachable",
    "Profile",
    "ProfileInvalid",
    "Prompt",
    "SavedRequest",
    "StoredReceipt",
    "SyncGateway",
    "verify_file",
]
