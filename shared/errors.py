"""The one tree of errors.

Every failure has a stable ``code``, says whether trying again can help (``retryable``), and carries a sentence an
operator can act on. No message here may hold personal data: callers pass ids, line numbers and column names only.
"""

from typing import ClassVar


class BridgeError(Exception):
    """Root of all errors raised on purpose.

    ``str(error)`` is ``"<code>: <sentence>"`` and is safe to log.
    """

    code: ClassVar[str] = "BRIDGE"
    retryable: ClassVar[bool] = False

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


class ConfigurationError(BridgeError):
    """Settings or ``bridge.yaml`` are wrong; a person has to change them before the program can start."""

    code = "CONFIGURATION"


class BackendUnavailableError(BridgeError):
    """PostgreSQL or RabbitMQ could not be started or found on this machine; the sentence says what to install."""

    code = "BACKEND_UNAVAILABLE"


class TransientError(BridgeError):
    """Something outside is down or slow. Work waits and is tried again; nothing is dead-lettered for it."""

    code = "TRANSIENT"
    retryable = True


class BrokerUnavailableError(TransientError):
    """The broker did not answer in time, closed the connection, or blocks publishers."""

    code = "BROKER_UNAVAILABLE"


class BrokerRefusedError(TransientError):
    """The broker refused a message because its queue is full (``x-overflow=reject-publish``)."""

    code = "BROKER_REFUSED"


class LmsUnavailableError(TransientError):
    """The learning management system did not answer, answered too late, or asked us to slow down."""

    code = "LMS_UNAVAILABLE"


class LmsBusyError(LmsUnavailableError):
    """The learning management system asked us to slow down; it does not say for how long."""

    code = "LMS_BUSY"


class LmsMisconfiguredError(BridgeError):
    """The learning management system does not let us work, or would falsify what we send; a person has to mend it.

    Work for it waits, and it is looked at again from time to time; nothing is dead-lettered.
    """

    code = "LMS_MISCONFIGURED"


class DirectoryUnavailableError(TransientError):
    """The trust's directory (LDAP) did not answer, or did not let us in."""

    code = "DIRECTORY_UNAVAILABLE"


class TransportUnavailableError(TransientError):
    """The server of a connection did not answer in time, broke off, or could not take or give a file just now."""

    code = "TRANSPORT_UNAVAILABLE"


class StorageUnavailableError(TransientError):
    """A file cannot be written or read on this machine: its disk is full, away, or does not let us."""

    code = "STORAGE_UNAVAILABLE"


class TransportRefusedError(BridgeError):
    """The server of a connection does not let us in. It is asked again after a long while only, lest it lock us out."""

    code = "TRANSPORT_REFUSED"


class TransportUntrustedError(TransportRefusedError):
    """Whoever answers has not the host key or certificate that was agreed: nothing was sent to it, no password either.

    It is asked again after a long while only.
    """

    code = "TRANSPORT_UNTRUSTED"


class TransportFolderError(BridgeError):
    """A folder or file of a connection is not there, or our login may not do there what the connection asks for."""

    code = "TRANSPORT_FOLDER"


class TransportConflictError(BridgeError):
    """The server holds another file under the name of one that is to be delivered. It is not written over."""

    code = "TRANSPORT_CONFLICT"


class DecisionError(BridgeError):
    """An operator's decision cannot be carried out: what it is about is not, or no longer, as they saw it."""

    code = "DECISION"


class UnroutableError(BridgeError):
    """A message had no queue to go to: the topology on the broker is not the one this release declares."""

    code = "UNROUTABLE"


class TopologyError(BridgeError):
    """A queue or exchange exists with other arguments than ours, or with unsafe dead-lettering."""

    code = "TOPOLOGY"


class RecordError(BridgeError):
    """One record can never succeed as it stands. It is dead-lettered with this code and sentence; the rest go on."""

    code = "RECORD"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.record_code = code

    def __str__(self) -> str:
        return f"{self.record_code}: {self.sentence}"


class FileRefusedError(BridgeError):
    """A whole file cannot be taken. ``file_code`` is one of ``shared.esr.faults.FileCode``."""

    code = "FILE"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.file_code = code

    def __str__(self) -> str:
        return f"{self.file_code}: {self.sentence}"
