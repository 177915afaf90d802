// Rotary positions. Included only from cpu.cpp.
#pragma once
#include "ops/nn/attention/cpu_tiles.h"

namespace cfgd::CFGD_ISA {
namespace {

void rotate(const float* __restrict in, const float* __restrict cosines, const float* __restrict sines, float sign,
            int64_t half, float* __restrict out) {
  for (int64_t i = 0; i < half; i++) {
    const float x = in[i], y = in[i + half], c = cosines[i], s = sign * sines[i];
    out[i] = x * c - y * s;
    out[i + half] = y * c + x * s;
  }
}

int32_t rotary(const RotaryArgs& a, const Parallel& parallel, cfgd_status*) {
  const QkvShape& s = a.shape;
  const int64_t half = s.head_dim / 2, width = s.heads * s.head_dim, count = s.rows * s.positions;
  if (count == 0) return CFGD_OK;
  int64_t low = a.positions[0], high = low;
  for (int64_t i = 1; i < count; i++) {
    low = smaller(low, a.positions[i]);
    high = larger(high, a.positions[i]);
  }
  // Sines and cosines once for each position that can occur, or for each that does if these are fewer.
  const bool by_value = high - low + 1 <= count;
  const int64_t lines = by_value ? high - low + 1 : count;
  static thread_local Scratch scratch;
  float* table = scratch.get<float>(lines * 2 * half + 1);
  parallel(lines, 512 / (half + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < half; i++) {
      const double frequency = std::pow(a.base, -2.0 * static_cast<double>(i) / static_cast<double>(s.head_dim));
      for (int64_t line = begin; line < end; line++) {
        const double angle = static_cast<double>(by_value ? low + line : a.positions[line]) * frequency;
        table[line * 2 * half + i] = static_cast<float>(std::cos(angle));
        table[line * 2 * half + half + i] = static_cast<float>(std::sin(angle));
      }
    }
  });
  const float sign = a.inverse ? -1.0f : 1.0f;
  parallel(count, (int64_t{1} << 15) / (3 * width + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const float *in = a.qkv + i * 3 * width, *cosines = table + (by_value ? a.positions[i] - low : i) * 2 * half;
      float* out = a.out + i * 3 * width;
      for (int64_t h = 0; h < 2 * s.heads; h++)
        rotate(in + h * s.head_dim, cosines, cosines + half, sign, half, out + h * s.head_dim);
      std::memcpy(out + 2 * width, in + 2 * width, sizeof(float) * width);
    }
  });
  return CFGD_OK;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
