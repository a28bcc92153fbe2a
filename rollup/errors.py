"""The error tree: every expected failure of the project, each a sentence that names the thing and what to do.

    TouchstoneError
    ├── ProgramError          a program, its file or one of its ops is not acceptable
    │   ├── EncodingError     bytes that are no header, descriptor or manifest
    │   └── AuditError        well-formed, but not safe to trust or to adjudicate
    ├── LoweringError         a float function cannot become a program
    │   └── UnsupportedError  a primitive (or a use of it) without a rule
    ├── ExecutionError        a program cannot run here, or on these inputs
    │   └── InexactMachine    the self-test found a kernel that is not exact on this machine
    ├── CommitmentError       a proof, root or witness does not fit
    ├── ClaimError            a claim is malformed, badly signed or refused
    ├── MoveError             the dispute game does not allow this move now
    ├── ClientError           a service refused a request, or could not be reached
    │   ├── BadAnswer         what a service answered does not hold, or can't be what it says
    │   ├── ClaimInvalid      the claim that was waited for is invalid
    │   └── WaitTimeout       a claim is neither final nor invalid yet (a TimeoutError, too)
    ├── ChainError            L1 refused or could not be reached
    │   ├── Reverted          a contract's custom error, decoded
    │   ├── StaleView         what a decision was made on is no longer so; look again
    │   └── Refused           the node answered a request with an error
    ├── FileError             a file or folder can't be written
    └── ServiceError          a service cannot start or work as it is set up
        └── SettingsError     a flag, variable, file or key of its settings is wrong

Broken invariants of our own code are ``assert``; what a peer, a file or the chain says never is.
"""

from __future__ import annotations

from collections.abc import Mapping


class TouchstoneError(Exception):
    """Base of every expected failure."""


class ProgramError(TouchstoneError):
    """A program, its file or one of its ops is not acceptable."""


class EncodingError(ProgramError):
    """Bytes that are no header, descriptor or manifest."""


class AuditError(ProgramError):
    """A well-formed program that is not safe to trust or to adjudicate."""


class LoweringError(TouchstoneError):
    """A float function cannot become a program."""


class UnsupportedError(LoweringError):
    """A primitive, or a use of it, that has no lowering rule."""


class ExecutionError(TouchstoneError):
    """A program cannot run here, or on these inputs."""


class InexactMachine(ExecutionError):
    """The self-test found a kernel that is not exact on this machine."""


class CommitmentError(TouchstoneError):
    """A proof, root or witness does not fit what it claims to commit to."""


class ClaimError(TouchstoneError):
    """A claim is malformed, badly signed or refused."""


class MoveError(TouchstoneError):
    """The dispute game does not allow this move now."""


class ClientError(TouchstoneError):
    """A service refused a request or could not be reached. ``status``: of HTTP, if it answered; ``problem``: its problem
    details (RFC 9457), if it gave any.
    """

    def __init__(self, sentence: str, status: int | None = None, problem: Mapping[str, object] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.problem = dict(problem or {})


class Unanswered(ClientError):
    """An inference was asked for, and no answer came; it may have run and been claimed. ``key``: with which it can be asked for again;
    ``brief``: why no answer came.
    """

    def __init__(self, error: ClientError, key: str) -> None:
        super().__init__(
            f"{error}; it may have run and been claimed: the same inputs with the key {key} get its answer, and run nothing twice",
            error.status,
            error.problem,
        )
        self.key, self.brief = key, str(error)


class BadAnswer(ClientError):
    """What a service answered does not hold, or can't be what it says it is. Nothing of it was used."""


class InvalidClaim(ClientError):
    """The claim that was waited for is invalid and will never be final."""


class WaitTimeout(ClientError, TimeoutError):
    """A claim was neither final nor invalid in the time that it was given."""


class ChainError(TouchstoneError):
    """L1 refused a call or could not be reached."""


class Reverted(ChainError):
    """A contract's custom error, decoded: ``name`` and ``args`` by parameter name."""

    def __init__(self, name: str, arguments: dict[str, object], sentence: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.arguments = arguments


class Behind(ChainError):
    """The node, or the one of its machines that answered, does not know a block that it was asked about."""


class StaleView(ChainError):
    """The account's nonce was used by a transaction that an earlier life of the process sent, or went back with a
    reorganisation: what was decided on is no longer so. Look at L1 again and decide anew.
    """


class Refused(ChainError):
    """A node answered a request with an error of its own; asking it again changes nothing."""


class FileError(TouchstoneError):
    """A file or folder can't be written; nothing of it is there."""


class ServiceError(TouchstoneError):
    """A service cannot start or work as it is set up. ``told``: what strangers read instead of a sentence that names what is
    not theirs to know.
    """

    def __init__(self, sentence: str, told: str | None = None) -> None:
        super().__init__(sentence)
        self.told = told


class SettingsError(ServiceError):
    """A flag, an environment variable, a file or a key of the settings is wrong, or dangerous."""
