"""How aiokafka's transactional producers tell that they broke, and that they can never be used again."""

from typing import Any, Final

from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    ProducerFenced,
)

BROKEN: Final = (KafkaError, IllegalOperation)
"""What a transaction that failed may raise: a request in the background breaks it, and the next call is illegal."""
_FENCED: Final = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState)


def is_fatal(producer: Any) -> bool:
    """Tell whether ``producer`` can never be used again.

    NOTE: aiokafka says so nowhere else; the class of the error does not tell (a fenced producer may show as
    "Unexpected error during batch delivery", as an illegal operation, or as an assertion that failed).
    """
    return bool(producer._txn_manager.is_fatal_error())


def is_fenced(producer: Any, error: Exception) -> bool:
    """Tell whether ``error`` means that ``producer`` is finished.

    Another one took over its transactional id, its transaction timed out, its id expired, or its sender broke.
    """
    return isinstance(error, _FENCED) or is_fatal(producer)
