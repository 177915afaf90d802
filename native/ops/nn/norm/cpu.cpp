#include "ops/nn/norm/norm.h"

#include <cfloat>

#include "cpu/kernel.h"
#include "ops/nn/reduce.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElements = 16384;  // per chunk: some 20 µs

int64_t rows_per_chunk(int64_t n) { return kElements / (n + 1) + 1; }

/// Rows whose gain and bias gradients share one partial sum: enough that the partials stay small beside the input.
int64_t rows_per_partial(int64_t n) {
  const int64_t rows = kElements / n;
  return rows < 16 ? 16 : rows > 256 ? 256 : rows;
}

int32_t layer_norm_forward(const LayerNormForwardArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.rows, rows_per_chunk(a.n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* x = a.x + r * a.n;
      float* y = a.y + r * a.n;
      // Relative to the first element, so that rows far from zero keep their digits.
      const float origin = x[0];
      const auto mean = static_cast<float>(
          origin + lane_sum(a.n, [&](int64_t i, int lanes) { return load_some(x + i, lanes, origin) - origin; }) / a.n);
      const double variance = lane_sum(a.n, [&](int64_t i, int lanes) {
                                const Vec centred = load_some(x + i, lanes, mean) - mean;
                                return centred * centred;
                              }) / a.n;
      const auto inverse = static_cast<float>(1 / __builtin_sqrt(variance + a.epsilon));
      a.mean[r] = mean;
      a.inverse_std[r] = inverse;
      for_vectors(0, a.n, [&](int64_t i, int lanes) {
        const Vec unit = (load_some(x + i, lanes, 0) - mean) * inverse, scaled = unit * load_some(a.gain + i, lanes, 0);
        store_some(y + i, a.bias ? scaled + load_some(a.bias + i, lanes, 0) : scaled, lanes);
      });
    }
  });
  return CFGD_OK;
}

int32_t rms_norm_forward(const RmsNormForwardArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.rows, rows_per_chunk(a.n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* x = a.x + r * a.n;
      float* y = a.y + r * a.n;
      const double square = lane_sum(a.n, [&](int64_t i, int lanes) {
                              const Vec v = load_some(x + i, lanes, 0);
                              return v * v;
                            }) / a.n;
      const auto inverse = static_cast<float>(1 / __builtin_sqrt(square + a.epsilon));
      a.inverse_rms[r] = inverse;
      for_vectors(0, a.n, [&](int64_t i, int lanes) {
        store_some(y + i, load_some(x + i, lanes, 0) * inverse * load_some(a.gain + i, lanes, 0), lanes);
      });
    }
  });
  return CFGD_OK;
}

/// One row of either backward; `mean` is 0 and the mean of g is left out for RMS. Adds to the partial sums.
template <bool kCentred>
void backward_row(const float* grad_y, const float* x, const float* gain, float mean, float inverse, float* grad_x,
                  float* gain_sums, float* bias_sums, int64_t n) {
  float g_mean = 0;
  if constexpr (kCentred)
    g_mean = static_cast<float>(lane_sum(n, [&](int64_t i, int lanes) {
               return load_some(grad_y + i, lanes, 0) * load_some(gain + i, lanes, 0);
             }) / n);
  const auto projection = static_cast<float>(lane_sum(n, [&](int64_t i, int lanes) {
                            const Vec unit = (load_some(x + i, lanes, mean) - mean) * inverse;
                            return load_some(grad_y + i, lanes, 0) * load_some(gain + i, lanes, 0) * unit;
                          }) / n);
  for_vectors(0, n, [&](int64_t i, int lanes) {
    const Vec unit = (load_some(x + i, lanes, mean) - mean) * inverse, out = load_some(grad_y + i, lanes, 0);
    const Vec g = out * load_some(gain + i, lanes, 0);
    store_some(grad_x + i, inverse * (g - g_mean - unit * projection), lanes);
    store_some(gain_sums + i, load_some(gain_sums + i, lanes, 0) + out * unit, lanes);
    if (kCentred && bias_sums) store_some(bias_sums + i, load_some(bias_sums + i, lanes, 0) + out, lanes);
  });
}

int32_t layer_norm_backward(const LayerNormBackwardArgs& a, const Parallel& parallel, cfgd_status*) {
  const int64_t chunk = rows_per_partial(a.n), chunks = (a.rows + chunk - 1) / chunk;
  static thread_local Scratch scratch;
  float* partials = scratch.get<float>((chunks + 1) * 2 * a.n);  // per chunk: gain, then bias
  parallel(a.rows, chunk, [&](int64_t begin, int64_t end) {
    float* sums = partials + begin / chunk * 2 * a.n;
    for (int64_t i = 0; i < 2 * a.n; i++) sums[i] = 0;
    for (int64_t r = begin; r < end; r++)
      backward_row<true>(a.grad_y + r * a.n, a.x + r * a.n, a.gain, a.mean[r], a.inverse_std[r], a.grad_x + r * a.n,
                         sums, a.grad_bias ? sums + a.n : nullptr, a.n);
  });
  combine_chunks(partials, chunks, 2 * a.n, a.grad_gain, a.n, parallel);
  if (a.grad_bias) combine_chunks(partials + a.n, chunks, 2 * a.n, a.grad_bias, a.n, parallel);
  return CFGD_OK;
}

int32_t rms_norm_backward(const RmsNormBackwardArgs& a, const Parallel& parallel, cfgd_status*) {
  const int64_t chunk = rows_per_partial(a.n), chunks = (a.rows + chunk - 1) / chunk;
  static thread_local Scratch scratch;
  float* partials = scratch.get<float>((chunks + 1) * a.n);
  parallel(a.rows, chunk, [&](int64_t begin, int64_t end) {
    float* sums = partials + begin / chunk * a.n;
    for (int64_t i = 0; i < a.n; i++) sums[i] = 0;
    for (int64_t r = begin; r < end; r++)
      backward_row<false>(a.grad_y + r * a.n, a.x + r * a.n, a.gain, 0, a.inverse_rms[r], a.grad_x + r * a.n, sums,
                          nullptr, a.n);
  });
  combine_chunks(partials, chunks, a.n, a.grad_gain, a.n, parallel);
  return CFGD_OK;
}

int32_t l2_normalize_forward(const L2NormalizeForwardArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.rows, rows_per_chunk(a.n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* x = a.x + r * a.n;
      float* y = a.y + r * a.n;
      double sums[4] = {};
      for (int64_t i = 0; i < a.n; i++) sums[i & 3] += static_cast<double>(x[i]) * x[i];
      const double norm = __builtin_sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
      const double inverse = norm < FLT_MIN ? 0 : 1 / norm;
      a.inverse_norm[r] = static_cast<float>(inverse);
      for (int64_t i = 0; i < a.n; i++) y[i] = static_cast<float>(x[i] * inverse);
    }
  });
  return CFGD_OK;
}

int32_t l2_normalize_backward(const L2NormalizeBackwardArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.rows, rows_per_chunk(a.n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float *grad_y = a.grad_y + r * a.n, *y = a.y + r * a.n;
      const float inverse = a.inverse_norm[r];
      const auto projection = static_cast<float>(lane_sum(a.n, [&](int64_t i, int lanes) {
        return load_some(grad_y + i, lanes, 0) * load_some(y + i, lanes, 0);
      }));
      for_vectors(0, a.n, [&](int64_t i, int lanes) {
        store_some(a.grad_x + r * a.n + i,
                   inverse * (load_some(grad_y + i, lanes, 0) - load_some(y + i, lanes, 0) * projection), lanes);
      });
    }
  });
  return CFGD_OK;
}

}  // namespace

void register_norm(CpuTable& table) {
  set<LayerNormForwardArgs, layer_norm_forward>(table, Op::layer_norm_forward);
  set<LayerNormBackwardArgs, layer_norm_backward>(table, Op::layer_norm_backward);
  set<RmsNormForwardArgs, rms_norm_forward>(table, Op::rms_norm_forward);
  set<RmsNormBackwardArgs, rms_norm_backward>(table, Op::rms_norm_backward);
  set<L2NormalizeForwardArgs, l2_normalize_forward>(table, Op::l2_normalize_forward);
  set<L2NormalizeBackwardArgs, l2_normalize_backward>(table, Op::l2_normalize_backward);
}

}  // namespace cfgd::CFGD_ISA
