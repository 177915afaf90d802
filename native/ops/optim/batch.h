// Lists of tensors as parameters of kernels: some tensors per launch, so that nothing has to be copied to the device.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/kernel.h"

namespace cfgd {

/// Parameters of a kernel take 4 KiB at most.
constexpr size_t kParameterBytes = 4096;

/// Some tensors of a list, cut into tiles, of which each block does one.
template <class Entry, int64_t kTileElements>
struct Batch {
  static constexpr int kCapacity = static_cast<int>((kParameterBytes - 256) / (sizeof(Entry) + sizeof(uint32_t)));
  static constexpr int64_t kTile = kTileElements;

  Entry entries[kCapacity];
  uint32_t first_tile[kCapacity];  // of each tensor
  int count;
  int64_t first_entry, tiles_before;  // in the list, where this batch begins
};

/// Calls launch(batch, blocks) for the tensors of a list, entry_at(0) … entry_at(count − 1), as few times as their
/// parameters allow.
template <class B, class EntryAt, class Launch>
void for_batches(int64_t count, const EntryAt& entry_at, const Launch& launch) {
  constexpr int64_t kMaxTiles = 0x7fffffff;  // blocks of a grid; a tensor has fewer
  int64_t tiles_before = 0;
  for (int64_t e = 0; e < count;) {
    B batch = {};
    batch.first_entry = e;
    batch.tiles_before = tiles_before;
    batch.count = 0;
    int64_t tiles = 0;
    for (; e < count && batch.count < B::kCapacity; e++) {
      const auto entry = entry_at(e);
      const int64_t more = (entry.n + B::kTile - 1) / B::kTile;
      if (tiles + more > kMaxTiles) break;
      batch.entries[batch.count] = entry;
      batch.first_tile[batch.count++] = static_cast<uint32_t>(tiles);
      tiles += more;
    }
    if (tiles > 0) launch(batch, static_cast<unsigned>(tiles));
    tiles_before += tiles;
  }
}

}  // namespace cfgd
