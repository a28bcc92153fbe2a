"""The only room with web3: the contracts as typed calls, events as dataclasses, custom errors as sentences.

``chain`` an embedded or a remote chain, ``signing`` claim ids and keys, ``client`` every call, ``events`` what L1 said,
``reverts`` why it refused.
"""
