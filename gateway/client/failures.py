"""Why there is no answer, when it is not the gateway that says no.

    ClientFailure
    ├── GatewayProblem       the gateway refuses or fails, in its own words (``problem.py``)
    ├── GatewayUnreachable   no answer came: network, certificate, time
    ├── AnswerRefused        an answer came, but nothing proves that it was recorded as it is,
    │                        or it is not encrypted as it was asked for
    └── ProfileInvalid       what ``gateway login`` keeps is missing or is not as it must be

A message is one sentence that says what to do; never a token, a key or a cell.
"""


class ClientFailure(Exception):
    """The root: whatever keeps a firm from an answer."""


class GatewayUnreachable(ClientFailure):
    """No complete answer came from the gateway."""


class AnswerRefused(ClientFailure):
    """The answer's receipt is missing, does not verify, is of something else; or it does not decrypt."""


class ProfileInvalid(ClientFailure):
    """The profile folder does not hold what is needed, or what it holds contradicts the gateway."""
