"""What can be wrong with a message.

MessageError
+-- DecodeError     the bytes or headers are not a batch or event of ours: a dead letter
+-- EncodeError     the rows handed in do not fit one message: a mistake of the producer
"""


class MessageError(Exception):
    """Base of every error about a message."""


class DecodeError(MessageError):
    """The message cannot be read. Never retriable: the same bytes fail again, so they go to the dead letters."""


class EncodeError(MessageError):
    """The rows cannot be written as one message. The caller splits them or mends its rows."""
