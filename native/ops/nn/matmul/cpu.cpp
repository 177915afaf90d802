#include "ops/nn/matmul/matmul.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/tile.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kDepth = 256;  // of a block of k; part of the contract, so the same for every instruction set
/// Up to this many rows b is read where it lies: packing would cost more than it saves.
constexpr int64_t kDirectRows = 4 * kTileRows;
/// Rows of a at least this far apart fall into few cache sets; with a result at least this wide packing them pays.
constexpr int64_t kFarRows = 1024, kWide = 256;
/// A block of a, [kRowBlock, kDepth], fills a good part of a 512 kB second-level cache.
constexpr int64_t kRowBlock = 192 / kTileRows * kTileRows;
constexpr int64_t kPackedElements = int64_t{1} << 20;  // of a, as far as a block of k allows
constexpr int64_t kWorkPerTask = int64_t{1} << 19;     // multiply-adds; some 10 µs
constexpr int64_t kPackPerTask = int64_t{1} << 16;     // elements

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

/// A tile of the result.
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

template <int R, bool PackedA>
void tile(int64_t depth, const float* a, int64_t a_row, const float* b, int64_t b_step, int columns, const Target& t) {
  Vec sums[R][kTileVecs] = {};
  if (PackedA)
    multiply_tile<R, kTileVecs>(depth, a, 1, kTileRows, b, b_step, sums);
  else
    multiply_tile<R, kTileVecs>(depth, a, a_row, 1, b, b_step, sums);
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

using Tile = void (*)(int64_t, const float*, int64_t, const float*, int64_t, int, const Target&);

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

/// Packs `lines` lines of a factor, element (line, k) at source[line · line_step + k · depth_step], with k in the slow
/// dimension: out[k · Width + line], zeros in the missing lines.
template <int Width>
void pack(const float* source, int64_t line_step, int64_t depth_step, int64_t lines, int64_t depth, float* out) {
  if (depth_step == 1) {
    transpose(source, line_step, lines, depth, out, Width);
  } else if (lines == Width) {
    for (int64_t k = 0; k < depth; k++) std::memcpy(out + k * Width, source + k * depth_step, sizeof(float) * Width);
  } else {
    for (int64_t k = 0; k < depth; k++)
      for (int64_t x = 0; x < lines; x++) out[k * Width + x] = source[k * depth_step + x];
  }
  if (lines < Width)
    for (int64_t k = 0; k < depth; k++)
      for (int64_t x = lines; x < Width; x++) out[k * Width + x] = 0;
}

/// A range of k, with a packed for it where that pays: panels of kTileRows rows one after the other in every block of
/// k, so that a block is contiguous.
struct Problem {
  const MatmulArgs& args;
  int64_t k0, k1;
  float* packed_a;  // or null
  int64_t lines;    // rows of packed_a: m rounded up to whole panels

  float* packed_panel(int64_t i, int64_t k) const {
    return packed_a + (k - k0) * lines + i * smaller(kDepth, k1 - k);
  }
};

void pack_a(const Problem& p, const Parallel& parallel) {
  const MatmulArgs& args = p.args;
  const int64_t line_step = args.transpose_a ? 1 : args.k, depth_step = args.transpose_a ? args.m : 1;
  const int64_t panels = p.lines / kTileRows, blocks = (p.k1 - p.k0 + kDepth - 1) / kDepth;
  const int64_t per_panel = smaller(kDepth, p.k1 - p.k0) * kTileRows;
  parallel(blocks * panels, kPackPerTask / per_panel, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t k = p.k0 + task / panels * kDepth, i = task % panels * kTileRows;
      pack<kTileRows>(args.a + i * line_step + k * depth_step, line_step, depth_step, smaller(kTileRows, args.m - i),
                      smaller(kDepth, p.k1 - k), p.packed_panel(i, k));
    }
  });
}

/// Rows [i0, i1) and columns [j0, j1) of the result over the range of k.
void multiply(const Problem& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  alignas(64) float panel[kDepth * kTileColumns];
  const MatmulArgs& args = p.args;
  const Tile* tiles = p.packed_a ? kTiles.packed : kTiles.direct;
  const int64_t line_step = args.transpose_b ? args.k : 1, depth_step = args.transpose_b ? 1 : args.n;
  const bool direct = !args.transpose_b && i1 - i0 <= kDirectRows;
  for (int64_t k = p.k0; k < p.k1; k += kDepth) {
    const int64_t depth = smaller(kDepth, p.k1 - k);
    for (int64_t j = j0; j < j1; j += kTileColumns) {
      const int columns = static_cast<int>(smaller(kTileColumns, args.n - j));
      const float* b = args.b + j * line_step + k * depth_step;
      int64_t b_step = depth_step;
      if (!direct || columns < kTileColumns) {
        pack<kTileColumns>(b, line_step, depth_step, columns, depth, panel);
        b = panel;
        b_step = kTileColumns;
      }
      const float* bias = k == 0 && args.bias ? args.bias + j : nullptr;
      for (int64_t i = i0; i < i1; i += kTileRows) {
        const Target target{static_cast<float*>(args.out) + i * args.n + j, args.n, bias, k > 0 || args.accumulate};
        const float* a = p.packed_a ? p.packed_panel(i, k) : args.a + i * args.k + k;
        tiles[smaller(kTileRows, i1 - i) - 1](depth, a, args.k, b, b_step, columns, target);
      }
    }
  }
}

/// The result of an empty sum.
void write_base(const MatmulArgs& args) {
  for (int64_t i = 0; i < args.m; i++)
    for (int64_t j = 0; j < args.n; j++) {
      float& out = static_cast<float*>(args.out)[i * args.n + j];
      out = (args.accumulate ? out : 0.0f) + (args.bias ? args.bias[j] : 0.0f);
    }
}

int32_t matmul(const MatmulArgs& args, const Parallel& parallel, cfgd_status*) {
  if (args.m == 0 || args.n == 0) return CFGD_OK;
  if (args.k == 0) {
    write_base(args);
    return CFGD_OK;
  }
  const bool packs = args.transpose_a || (args.k >= kFarRows && args.n >= kWide);
  const int64_t lines = packs ? rounded_up(args.m, kTileRows) : 0;
  int64_t range = args.k;
  if (range * lines > kPackedElements) {
    range = kPackedElements / lines / kDepth * kDepth;
    if (range < kDepth) range = kDepth;
  }
  // Shared by all threads, so that a is packed once.
  static thread_local Scratch scratch;
  Problem p{args, 0, 0, packs ? scratch.get<float>(range * lines) : nullptr, lines};

  // Tiles of the result: all columns of a block of rows, unless that gives too few tasks.
  const int64_t rows = smaller(kRowBlock, rounded_up(args.m, kTileRows));
  const int64_t row_tasks = (args.m + rows - 1) / rows;
  const int64_t panels = (args.n + kTileColumns - 1) / kTileColumns;
  const int64_t work = args.m * args.n * range;
  const int64_t wanted = smaller(16, work / kWorkPerTask + 1);
  int64_t column_tasks = smaller(panels, (wanted + row_tasks - 1) / row_tasks);
  const int64_t columns = (panels + column_tasks - 1) / column_tasks * kTileColumns;
  column_tasks = (args.n + columns - 1) / columns;
  const int64_t grain = smaller(row_tasks, kWorkPerTask / (rows * columns * range) + 1);

  for (p.k0 = 0; p.k0 < args.k; p.k0 = p.k1) {
    p.k1 = smaller(p.k0 + range, args.k);
    if (packs) pack_a(p, parallel);
    parallel(row_tasks * column_tasks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t i = task % row_tasks * rows, j = task / row_tasks * columns;
        multiply(p, i, smaller(i + rows, args.m), j, smaller(j + columns, args.n));
      }
    });
  }
  return CFGD_OK;
}

}  // namespace

void register_matmul(CpuTable& table) { set<MatmulArgs, matmul>(table, Op::matmul); }

}  // namespace cfgd::CFGD_ISA
