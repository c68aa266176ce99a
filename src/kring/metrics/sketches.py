"""How many different things there were, from small registers that merge in any order (HyperLogLog).

Flajolet, Fusy, Gandouet & Meunier 2007; small numbers by linear counting (Whang, Vander-Zanden & Taylor 1990). With 256
registers the standard error is 6.5 %.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Registers = NDArray[np.uint8]

BITS: Final = 8
WIDTH: Final = 1 << BITS
ALPHA: Final = 0.7213 / (1 + 1.079 / WIDTH)


def mixed(values: Hashes) -> Hashes:
    """Well mixed bits of each number (n,): the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        mixing = values + np.uint64(0x9E3779B97F4A7C15)
        mixing = (mixing ^ (mixing >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixing = (mixing ^ (mixing >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixing ^ (mixing >> np.uint64(31))


def note(registers: Registers, rows: NDArray[np.intp], hashes: Hashes) -> None:
    """Note `hashes` (n,), well mixed, in the sketches `rows` (n,) of `registers` (sketches, 256), in place."""
    places = (hashes >> np.uint64(64 - BITS)).astype(np.intp)
    rest = (hashes << np.uint64(BITS)) | np.uint64(1 << (BITS - 1))
    leading = np.uint8(64) - np.frexp(rest.astype(np.float64))[1].astype(np.uint8)
    np.maximum.at(registers.reshape(-1), rows * WIDTH + places, leading + np.uint8(1))


def distinct(registers: Registers) -> NDArray[np.float64]:
    """How many different hashes each sketch (…, 256) has seen, about."""
    powers = np.exp2(-registers.astype(np.float64)).sum(axis=-1)
    empty = (registers == 0).sum(axis=-1)
    raw = ALPHA * WIDTH * WIDTH / powers
    linear = WIDTH * np.log(WIDTH / np.maximum(empty, 1))
    return np.asarray(np.where((raw <= 2.5 * WIDTH) & (empty > 0), linear, raw), dtype=np.float64)
