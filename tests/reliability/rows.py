"""Rows for the parcels, each another one."""

from __future__ import annotations


def parcel(number: int) -> dict[str, object]:
    """The row with that number: its weight and distance tell it from all others."""
    return {
        "booked_at": "2024-03-01T12:00:00Z",
        "booked_on": "2024-03-01",
        "distance": round(1 + number % 3900 / 100, 2),
        "weight": 1 + number // 3900 % 29,
        "express": number % 2 == 0,
    }
