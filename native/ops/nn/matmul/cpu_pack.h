// Factors rearranged into panels that a tile reads from the first to the last element. Included only from cpu.cpp.
#pragma once
#include "cpu/tile.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Lines of a factor (rows of op(a), columns of op(b)): element (line, k) lies at data[line · line_step + k · depth_step].
struct Factor {
  const float* data;
  int64_t lines, line_step, depth_step;

  const float* at(int64_t line, int64_t k) const { return data + line * line_step + k * depth_step; }
};

/// Panels filled side by side: fewer would read each cache line of the source too often, more would write to too many
/// places at once.
constexpr int64_t kPanelsAtOnce = 8;
/// Rows of a source that lie so many rows ahead of the one being copied are asked for: with rows far apart, the
/// processor's own prefetching does not find them.
constexpr int64_t kAhead = 16;

/// Packs lines [line, line + lines) over k in [k, k + depth) into panels of Width lines, `panel_step` elements apart, each
/// with k in the slow dimension and zeros in missing lines: out[panel · panel_step + k · Width + line].
template <int Width>
void pack(const Factor& f, int64_t line, int64_t lines, int64_t k, int64_t depth, float* out,
          int64_t panel_step) {
  const float* source = f.at(line, k);
  const int64_t whole = lines / Width, rest = lines % Width;
  float* last = out + whole * panel_step;
  if (f.depth_step == 1) {
    for (int64_t l = 0; l < lines; l += Width)
      transpose(source + l * f.line_step, f.line_step, lines - l < Width ? lines - l : Width, depth,
                out + l / Width * panel_step, Width);
  } else {
    // line_step is 1.
    for (int64_t p = 0; p < whole; p += kPanelsAtOnce) {
      const int64_t panels = whole - p < kPanelsAtOnce ? whole - p : kPanelsAtOnce;
      const float* row = source + p * Width;
      for (int64_t x = 0; x < depth; x++, row += f.depth_step) {
        if (x + kAhead < depth)
          for (int64_t l = 0; l < panels * Width; l += 16) __builtin_prefetch(row + kAhead * f.depth_step + l);
        float* to = out + p * panel_step + x * Width;
        for (int64_t q = 0; q < panels; q++) std::memcpy(to + q * panel_step, row + q * Width, sizeof(float) * Width);
      }
    }
    for (int64_t x = 0; rest && x < depth; x++)
      for (int64_t l = 0; l < rest; l++) last[x * Width + l] = source[x * f.depth_step + whole * Width + l];
  }
  if (rest)
    for (int64_t x = 0; x < depth; x++)
      for (int64_t l = rest; l < Width; l++) last[x * Width + l] = 0;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
