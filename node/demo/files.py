"""Files made for the demonstration, in real formats: a PDF, a JPEG, a WAV."""

from __future__ import annotations

import hashlib
import math
import struct
import wave
from collections.abc import Callable
from pathlib import Path

__all__ = ["make_files", "sha256_of"]

_RATE = 44_100  # samples a second
_WAV_HEADER = 44


def make_files(folder: Path, *, random: Callable[[int], bytes], wav_bytes: int = 50_000_000) -> dict[str, Path]:
    """A note of about 20 kB, a photograph of about 1 MB and a recording of `wav_bytes`, made here from noise."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "note": _pdf(folder / "note-de-situation.pdf", random),
        "photo": _jpeg(folder / "photo-du-mot.jpg", random),
        "recording": _wav(folder / "message-vocal.wav", random, wav_bytes),
    }


def _pdf(path: Path, random: Callable[[int], bytes]) -> Path:
    from fpdf import FPDF

    document = FPDF()
    document.set_compression(False)
    document.set_title("Note de situation")
    document.add_page()
    document.set_font("Helvetica", size=11)
    for line in range(90):
        document.multi_cell(0, 6, f"{line + 1}. {random(48).hex()}", new_x="LMARGIN", new_y="NEXT")
    document.output(str(path))
    return path


def _jpeg(path: Path, random: Callable[[int], bytes]) -> Path:
    from PIL import Image

    width, height = 1440, 1080
    small = Image.frombytes("RGB", (width // 4, height // 4), random(width // 4 * (height // 4) * 3))
    noise = Image.frombytes("RGB", (width, height), random(width * height * 3))
    Image.blend(small.resize((width, height)), noise, 0.35).save(path, "JPEG", quality=88)
    return path


def _wav(path: Path, random: Callable[[int], bytes], size: int) -> Path:
    """A tone that wavers, with noise, so that no two runs give the same file."""
    frames = (size - _WAV_HEADER) // 2
    second = [int(9000 * math.sin(2 * math.pi * 330 * each / _RATE)) for each in range(_RATE)]
    tone = struct.pack(f"<{_RATE}h", *second)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        left = frames
        while left > 0:
            count = min(left, _RATE)
            block = bytearray(tone[: count * 2])
            block[: min(64, len(block))] = random(min(64, len(block)))
            file.writeframes(block)
            left -= count
    return path


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
