#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "ops/nn/matmul/cpu_pack.h"
#include "ops/nn/matmul/cpu_peak.h"
#include "ops/nn/matmul/cpu_tile.h"
#include "ops/nn/matmul/matmul.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kDepth = 256;  // of a block of k; part of the contract, so the same for every instruction set
/// Up to this many rows b is read where it lies: packing would cost more than it saves.
constexpr int64_t kDirectRows = 4 * kTileRows;
/// Rows of a at least this far apart fall into few cache sets; with a result at least this wide packing them pays.
constexpr int64_t kFarRows = 1024, kWide = 256;
/// A block of a, [kRowBlock, kDepth], fills a good part of a 512 kB second-level cache; a short one reads too much of b.
constexpr int64_t kRowBlock = 192 / kTileRows * kTileRows, kShortBlock = 96;
constexpr int64_t kPackedElements = int64_t{1} << 20;  // of both factors, as far as a block of k allows
constexpr int64_t kWorkPerTask = int64_t{1} << 19;     // multiply-adds; some 10 µs
constexpr int64_t kTasks = 32;                         // enough for an even share on a few threads
constexpr int64_t kPackedLines = 96;                   // packed at a time: whole panels of either factor
constexpr int64_t kPackPerTask = int64_t{1} << 16;     // elements; some 10 µs
static_assert(kPackedLines % kTileRows == 0 && kPackedLines % kTileColumns == 0);

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

/// A factor over a range of k, packed for all threads: in every block of k panel after panel.
struct Packed {
  float* data;    // null: read where it lies
  int64_t lines;  // rounded up to whole panels

  float* block(int64_t k) const { return data + k * lines; }  // k from the range's beginning
};

/// A range of k.
struct Problem {
  const MatmulArgs& args;
  Factor a, b;
  Packed packed_a, packed_b;
  int64_t k0, k1;

  int64_t depth(int64_t k) const { return smaller(kDepth, k1 - k); }
};

template <int Width>
void pack_task(const Problem& p, const Factor& factor, const Packed& packed, int64_t task, int64_t tasks_per_block) {
  const int64_t k = p.k0 + task / tasks_per_block * kDepth, line = task % tasks_per_block * kPackedLines;
  const int64_t depth = p.depth(k);
  pack<Width>(factor, line, smaller(kPackedLines, factor.lines - line), k, depth,
              packed.block(k - p.k0) + line * depth, depth * Width);
}

void pack_factors(const Problem& p, const Parallel& parallel) {
  const int64_t blocks = parts(p.k1 - p.k0, kDepth);
  const int64_t a_tasks = p.packed_a.data ? parts(p.a.lines, kPackedLines) : 0;
  const int64_t b_tasks = p.packed_b.data ? parts(p.b.lines, kPackedLines) : 0;
  const int64_t grain = kPackPerTask / (kPackedLines * p.depth(p.k0));
  parallel(blocks * (a_tasks + b_tasks), grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++)
      if (task < blocks * a_tasks)
        pack_task<kTileRows>(p, p.a, p.packed_a, task, a_tasks);
      else
        pack_task<kTileColumns>(p, p.b, p.packed_b, task - blocks * a_tasks, b_tasks);
  });
}

/// Rows [i0, i1) and columns [j0, j1) of the result over the range of k.
void multiply(const Problem& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  alignas(64) float panel[kDepth * kTileColumns];
  const MatmulArgs& args = p.args;
  const Tile* tiles = p.packed_a.data ? kTiles.packed : kTiles.direct;
  for (int64_t k = p.k0; k < p.k1; k += kDepth) {
    const int64_t depth = p.depth(k);
    for (int64_t j = j0; j < j1; j += kTileColumns) {
      const int columns = static_cast<int>(smaller(kTileColumns, args.n - j));
      const float* b = panel;
      int64_t b_step = kTileColumns;
      if (p.packed_b.data) {
        b = p.packed_b.block(k - p.k0) + j * depth;
      } else if (!args.transpose_b && columns == kTileColumns) {
        b = p.b.at(j, k);
        b_step = args.n;
      } else {
        pack<kTileColumns>(p.b, j, columns, k, depth, panel, 0);
      }
      const float* bias = k == 0 && args.bias ? args.bias + j : nullptr;
      for (int64_t i = i0; i < i1; i += kTileRows) {
        const Target target{static_cast<float*>(args.out) + i * args.n + j, args.n, bias, k > 0 || args.accumulate};
        const float* a = p.packed_a.data ? p.packed_a.block(k - p.k0) + i * depth : p.a.at(i, k);
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
  const bool packs_a = args.transpose_a || (args.k >= kFarRows && args.n >= kWide);
  const bool packs_b = args.m > kDirectRows;
  const int64_t a_lines = packs_a ? parts(args.m, kTileRows) * kTileRows : 0;
  const int64_t b_lines = packs_b ? parts(args.n, kTileColumns) * kTileColumns : 0;
  int64_t range = args.k;
  if (range * (a_lines + b_lines) > kPackedElements)
    range = larger(kPackedElements / (a_lines + b_lines) / kDepth, 1) * kDepth;
  // Shared by all threads, so that each factor is packed once.
  static thread_local Scratch scratch;
  float* memory = packs_a || packs_b ? scratch.get<float>(range * (a_lines + b_lines)) : nullptr;
  Problem p{args,
            {args.a, args.m, args.transpose_a ? 1 : args.k, args.transpose_a ? args.m : 1},
            {args.b, args.n, args.transpose_b ? args.k : 1, args.transpose_b ? 1 : args.n},
            {packs_a ? memory : nullptr, a_lines},
            {packs_b ? memory + range * a_lines : nullptr, b_lines},
            0, 0};

  // Tiles of the result: all columns of a block of rows, unless that gives too few tasks.
  const int64_t panels = parts(args.n, kTileColumns), work = args.m * args.n * range;
  const int64_t wanted = smaller(kTasks, work / kWorkPerTask + 1);
  int64_t row_tasks = larger(parts(args.m, kRowBlock), smaller(wanted, args.m / kShortBlock));
  const int64_t rows = parts(parts(args.m, row_tasks), kTileRows) * kTileRows;
  row_tasks = parts(args.m, rows);
  const int64_t columns = parts(panels, smaller(panels, parts(wanted, row_tasks))) * kTileColumns;
  const int64_t column_tasks = parts(args.n, columns);
  const int64_t grain = smaller(row_tasks, kWorkPerTask / (rows * columns * range) + 1);

  for (; p.k0 < args.k; p.k0 = p.k1) {
    p.k1 = smaller(p.k0 + range, args.k);
    if (memory) pack_factors(p, parallel);
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

void register_matmul(CpuTable& table) {
  set<MatmulArgs, matmul>(table, Op::matmul);
  table.multiply_adds = multiply_adds;
}

}  // namespace cfgd::CFGD_ISA
