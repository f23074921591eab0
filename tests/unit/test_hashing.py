"""Names that are made of digests."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256

import pytest

from envforge import hashing


def test_sha256_is_the_usual_one() -> None:
    assert hashing.sha256(b"abc").hexdigest() == sha256(b"abc").hexdigest()


@pytest.mark.parametrize("data", [bytes(32), b"\xff" * 32, sha256(b"abc").digest(), b"\x00" * 5 + b"abcde"])
@pytest.mark.parametrize("letters", [1, 8, 16])
def test_base32_is_that_of_the_standard_library(data: bytes, letters: int) -> None:
    assert hashing.base32(data, letters) == b32encode(data).decode().lower()[:letters]
