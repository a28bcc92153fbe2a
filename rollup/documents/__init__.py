"""What travels as JSON between services and whoever asks them: servers answer with these documents, clients read them.

Byte strings are ``0x`` hex, wei and nonces decimal strings (JSON's readers round large numbers), times seconds since the epoch,
places in trees decimal strings. In Python a byte string is bytes, and made from either.
"""
