"""The roots of the error trees; each room hangs its own errors below one of them.

UserError           one clear sentence with the remedy: the command line prints it and exits with 2
MessageError
+-- DecodeError     the bytes or headers are not a batch or event of ours: a dead letter
+-- EncodeError     the rows handed in do not fit one message: a mistake of the producer
"""


class UserError(Exception):
    """Something the user can mend. Its text is one sentence that says what is wrong and what to do about it."""


class MessageError(Exception):
    """Base of every error about a message."""


class DecodeError(MessageError):
    """The message cannot be read. Never retriable: the same bytes fail again, so they go to the dead letters."""


class EncodeError(MessageError):
    """The rows cannot be written as one message. The caller splits them or mends its rows."""
