"""An immutable mapping from ids that shares what it does not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["IdMap"]

K = TypeVar("K", bound=bytes)
V = TypeVar("V")

_SHARDS = 256


class IdMap(Mapping[K, V], Generic[K, V]):
    """A mapping whose `with_item` and `without` give a new one and leave this one as it was.

    Keys are ids or digests, so their first byte spreads them evenly over 256 small dictionaries, of which a change
    copies one: for 10,000 members some 40 items instead of 10,000, for each entry of the roster log.
    """

    __slots__ = ("_length", "_shards")

    def __init__(self) -> None:
        self._shards: tuple[dict[K, V], ...] = ({},) * _SHARDS
        self._length = 0

    def __getitem__(self, key: K) -> V:
        if not key:
            raise KeyError(key)
        return self._shards[key[0]][key]

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._length

    def with_item(self, key: K, value: V) -> IdMap[K, V]:
        """The same mapping with `key` set to `value`. `key` must not be empty."""
        shard = dict(self._shards[key[0]])
        shard[key] = value
        return self._with_shard(key[0], shard)

    def without(self, key: K) -> IdMap[K, V]:
        """The same mapping without `key`. Raises KeyError if it is not there."""
        shard = dict(self._shards[key[0]])
        del shard[key]
        return self._with_shard(key[0], shard)

    def _with_shard(self, index: int, shard: dict[K, V]) -> IdMap[K, V]:
        changed: IdMap[K, V] = IdMap()
        changed._length = self._length + len(shard) - len(self._shards[index])
        changed._shards = (*self._shards[:index], shard, *self._shards[index + 1 :])
        return changed
