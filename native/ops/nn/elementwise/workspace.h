// How sums are cut into chunks on CUDA, by the size of the problem alone, and so how much memory the chunks' sums need.
// Host code.
#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/nn/columns.h"

namespace cfgd {

/// Chunks of rows of sum_rows: enough of them to fill a large GPU, few enough that their sums are small beside x.
struct RowChunks {
  ColumnTiles tiles;
  int64_t rows;   // of a chunk
  int64_t count;  // of chunks
};

inline RowChunks row_chunks(int64_t rows, int64_t n, int width) {
  constexpr int64_t kEnough = 1024;  // blocks
  RowChunks c{column_tiles(n, width), 0, 0};
  for (int turns = 32; turns >= 4; turns /= 2) {
    c.rows = int64_t{turns} * (kColumnThreads / c.tiles.lanes);
    c.count = (rows + c.rows - 1) / c.rows;
    if (c.count * c.tiles.count >= kEnough) break;
  }
  return c;
}

/// Columns of x that a thread of sum_rows adds up: 16 bytes, of elements of this size.
inline int sum_rows_width(size_t element) { return static_cast<int>(16 / element); }

inline int64_t sum_rows_chunks(int64_t rows, int64_t n, size_t element) {
  return row_chunks(rows, n, sum_rows_width(element)).count;
}

/// Elements that a block of sum_all adds up before it turns to double.
constexpr int64_t kSumAllTile = 16384;

inline int64_t sum_all_chunks(int64_t n) {
  constexpr int64_t kMost = 1056;  // blocks: a whole wave of 8 on each of 132 multiprocessors
  const int64_t tiles = (n + kSumAllTile - 1) / kSumAllTile;
  return tiles < 1 ? 1 : tiles < kMost ? tiles : kMost;
}

}  // namespace cfgd
