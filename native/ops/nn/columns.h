// How the columns of a matrix are shared out among the threads that sum them (columns.cuh). Host code.
#pragma once
#include <cstdint>

namespace cfgd {

constexpr int kColumnThreads = 256;

/// `lanes` threads stand side by side, each on `width` columns; the others of the block stand below them, on other
/// rows.
struct ColumnTiles {
  int lanes;      // the power of two that n columns fill, at most a warp
  int64_t count;  // of lanes · width columns
};

inline ColumnTiles column_tiles(int64_t n, int width) {
  int lanes = 32;
  while (lanes > 1 && int64_t{lanes} / 2 * width >= n) lanes /= 2;
  const int64_t columns = int64_t{lanes} * width;
  return {lanes, (n + columns - 1) / columns};
}

}  // namespace cfgd
