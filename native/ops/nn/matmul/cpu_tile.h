// A tile of the result in registers: its sums over a block of k, and how they are added to what is there.
// Included only from cpu.cpp.
#pragma once
#include "cpu/tile.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Where a tile goes.
struct Target {
  float* out;
  int64_t step;
  const float* bias;  // of the first column, or null; for the first block of k only
  bool add;           // out holds what to add to
};

/// out = (out + bias) + sums. One order of additions for every tile, whole or cut.
template <int R>
[[gnu::always_inline]] inline void finish(float* out, int64_t step, const float* bias, bool add,
                                          const Vec (&sums)[R][kTileVecs]) {
  Vec base[kTileVecs] = {};
  if (bias)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; v++) base[v] = load(bias + v * kLanes);
  if (add) {
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; v++) {
        float* p = out + r * step + v * kLanes;
        store(p, (load(p) + base[v]) + sums[r][v]);
      }
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; v++) store(out + r * step + v * kLanes, base[v] + sums[r][v]);
  }
}

/// a lies in a packed panel, or where it is, with rows a step apart.
template <int R, bool PackedA>
void tile(int64_t depth, const float* a, int64_t a_step, const float* b, int64_t b_step, int columns, const Target& t) {
  // The rows of the result lie far apart: asked for now, they are there when the sums are.
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) __builtin_prefetch(t.out + r * t.step, 1);
  Vec sums[R][kTileVecs] = {};
  if (PackedA)
    multiply_tile<R, kTileVecs>(depth, a, 1, kTileRows, b, b_step, sums);
  else
    multiply_tile<R, kTileVecs>(depth, a, a_step, 1, b, b_step, sums);
  if (columns == kTileColumns) return finish<R>(t.out, t.step, t.bias, t.add, sums);
  // At the right edge: the same on a copy.
  alignas(64) float copy[(R + 1) * kTileColumns] = {};
  float* bias = copy + R * kTileColumns;
  for (int c = 0; t.bias && c < columns; c++) bias[c] = t.bias[c];
  for (int r = 0; t.add && r < R; r++)
    for (int c = 0; c < columns; c++) copy[r * kTileColumns + c] = t.out[r * t.step + c];
  finish<R>(copy, kTileColumns, bias, t.add, sums);
  for (int r = 0; r < R; r++)
    for (int c = 0; c < columns; c++) t.out[r * t.step + c] = copy[r * kTileColumns + c];
}

using Tile = void (*)(int64_t depth, const float* a, int64_t a_step, const float* b, int64_t b_step, int columns,
                      const Target&);

struct TileTable {
  Tile packed[kTileRows], direct[kTileRows];  // by rows − 1
};

template <int R>
constexpr void fill_tiles(TileTable& table) {
  table.packed[R - 1] = tile<R, true>;
  table.direct[R - 1] = tile<R, false>;
  if constexpr (R > 1) fill_tiles<R - 1>(table);
}

constexpr TileTable make_tiles() {
  TileTable table{};
  fill_tiles<kTileRows>(table);
  return table;
}

constexpr TileTable kTiles = make_tiles();

}  // namespace
}  // namespace cfgd::CFGD_ISA
