// How sums are cut into chunks on CUDA, by the size of the problem alone, and so how much memory the chunks' sums need.
// Host code.
#pragma once
#include <cstdint>

namespace cfgd {

/// Rows per chunk of sum_rows: enough chunks to fill a large GPU, few enough that their sums are small beside x.
/// `groups` rows are added at a time, of which `tiles` columns wide.
struct RowChunks {
  int lanes;      // threads side by side, each on `width` columns
  int64_t tiles;  // of lanes · width columns
  int64_t rows;   // of a chunk
  int64_t count;  // of chunks
};

inline RowChunks row_chunks(int64_t rows, int64_t n, int width) {
  constexpr int kThreads = 256;
  constexpr int64_t kEnough = 1024;  // blocks
  RowChunks c{32, 0, 0, 0};
  while (c.lanes > 1 && int64_t{c.lanes} / 2 * width >= n) c.lanes /= 2;
  c.tiles = (n + int64_t{c.lanes} * width - 1) / (int64_t{c.lanes} * width);
  for (int turns = 32; turns >= 4; turns /= 2) {
    c.rows = int64_t{turns} * (kThreads / c.lanes);
    c.count = (rows + c.rows - 1) / c.rows;
    if (c.count * c.tiles >= kEnough) break;
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
