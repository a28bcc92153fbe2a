"""The only room with web3: the contracts as typed calls, events as dataclasses, custom errors as sentences.

``chain`` an embedded or a remote chain, ``signing`` claim ids and keys, ``client`` every call, ``events`` what L1 said,
``records`` and ``games`` what that means for disputes,
``reverts`` why it refused. For those who run for months: ``sending`` one transaction per decision, ``fees`` what it offers,
``follow`` events under reorganisations, ``finality`` how sure a block is, ``deployment`` where the contracts are, ``keys``
from where they are kept, ``node`` and ``transport`` what an endpoint's failures mean.
"""
