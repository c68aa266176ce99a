"""What remembers: the ledger, the decision log, the vault.

Reads and writes files below the folder it is given and nothing else; adds durability, order and
checksums; refuses to acknowledge what is not on disk, and to hand out bytes that were damaged.
"""
