"""Errors that are a user's to mend: shown as one message, without a traceback."""


class ChurnError(Exception):
    """Something the user can put right; the message says what, where, and what to do next."""


class DeclarationError(ChurnError):
    """The declaration of the customer table contradicts itself."""


class BreachError(ChurnError):
    """The customer table breaks its declaration."""
