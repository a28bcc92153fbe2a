"""Sounds with and without a voice, synthesised: pulses of a throat through the resonances of a mouth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray

RATE = 16_000
VOWELS = {
    "a": ((700, 80), (1220, 90), (2600, 120)),
    "i": ((300, 60), (2300, 100), (3000, 120)),
    "o": ((450, 70), (900, 80), (2500, 120)),
    "e": ((530, 60), (1840, 90), (2480, 120)),
}
"""Formants: (frequency, bandwidth) in Hz."""


def vowel(name: str, seconds: float, pitch: float) -> Array:
    """float32, at most 0.3 in magnitude."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    phase = np.cumsum(pitch * (1 + 0.05 * np.sin(8 * np.pi * time))) / RATE
    sound = np.diff(np.floor(phase), prepend=0.0)
    for frequency, bandwidth in VOWELS[name]:
        sound = _resonance(sound, frequency, bandwidth)
    swell = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    voiced: Array = (0.3 * swell * sound / np.abs(sound).max()).astype(np.float32)
    return voiced


def _resonance(sound: Array, frequency: float, bandwidth: float) -> Array:
    radius = np.exp(-np.pi * bandwidth / RATE)
    first, second = 2 * radius * np.cos(2 * np.pi * frequency / RATE), -radius * radius
    heard = np.zeros(len(sound) + 2)
    for at, pulse in enumerate(sound):
        heard[at + 2] = pulse + first * heard[at + 1] + second * heard[at]
    return heard[2:]


def spoken(vowels: Sequence[tuple[str, float]], seed: int, loud: float = 1.0, gap: float = 0.12) -> Array:
    """Vowels (name, pitch in Hz) of a quarter second each with pauses between them, over faint noise."""
    parts = [
        np.concatenate([vowel(name, 0.25, pitch), np.zeros(int(gap * RATE), np.float32)]) for name, pitch in vowels
    ]
    sound = np.concatenate(parts) * np.float32(loud)
    heard: Array = sound + noise(len(sound), 0.002, seed)
    return heard


def noise(count: int, loud: float, seed: int) -> Array:
    return (loud * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def tone(count: int, frequency: float, loud: float) -> Array:
    return (loud * np.sin(2 * np.pi * frequency * np.arange(count) / RATE)).astype(np.float32)
