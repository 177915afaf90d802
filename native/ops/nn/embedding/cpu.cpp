#include "ops/nn/embedding/embedding.h"

#include "cpu/kernel.h"
#include "ops/nn/reduce.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 32768;  // elements: some 20 µs of moving memory

int32_t check_ids(const int32_t* ids, int64_t count, int64_t vocab, cfgd_status* status) {
  for (int64_t i = 0; i < count; i++)
    if (ids[i] < 0 || ids[i] >= vocab)
      return cfgd_fail(status, CFGD_VALUE, "ids", "expected a token from 0 to %lld at %lld, got %d",
                       static_cast<long long>(vocab - 1), static_cast<long long>(i), ids[i]);
  return CFGD_OK;
}

int32_t check_bounds(const int32_t* bounds, const char* name, int64_t rows, int64_t positions, cfgd_status* status) {
  for (int64_t r = 0; r < rows; r++)
    if (bounds[r] < 0 || bounds[r] > positions)
      return cfgd_fail(status, CFGD_VALUE, name, "expected 0 to %lld at %lld, got %d",
                       static_cast<long long>(positions), static_cast<long long>(r), bounds[r]);
  return CFGD_OK;
}

int32_t embedding_forward(const EmbeddingForwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  if (const int32_t code = check_ids(a.ids, a.count, a.vocab, status)) return code;
  parallel(a.count, kGrain / (a.n + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      std::memcpy(a.out + i * a.n, a.table + a.ids[i] * a.n, a.n * sizeof(float));
  });
  return CFGD_OK;
}

/// Sums one block of columns of the rows listed in `positions`.
void gather(const float* grad_out, const int64_t* positions, int64_t count, int64_t n, int64_t width, float* out) {
  constexpr int64_t kWidth = 64;
  if (count == 0) {
    std::memset(out, 0, width * sizeof(float));
  } else if (count == 1) {
    std::memcpy(out, grad_out + positions[0] * n, width * sizeof(float));
  } else {
    double sums[kWidth];
    for (int64_t k = 0; k < width; k++) sums[k] = 0;
    for (int64_t i = 0; i < count; i++) {
      const float* row = grad_out + positions[i] * n;
      for (int64_t k = 0; k < width; k++) sums[k] += row[k];
    }
    for (int64_t k = 0; k < width; k++) out[k] = static_cast<float>(sums[k]);
  }
}

int32_t embedding_backward(const EmbeddingBackwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  if (const int32_t code = check_ids(a.ids, a.count, a.vocab, status)) return code;
  // The positions of each token, by a stable counting sort: token v owns order[first[v]] … order[first[v + 1] − 1].
  static thread_local Scratch scratch;
  int64_t* first = scratch.get<int64_t>(a.vocab + 2 + a.count);
  int64_t* order = first + a.vocab + 2;
  for (int64_t v = 0; v < a.vocab + 2; v++) first[v] = 0;
  for (int64_t i = 0; i < a.count; i++) first[a.ids[i] + 2]++;
  for (int64_t v = 2; v < a.vocab + 2; v++) first[v] += first[v - 1];
  for (int64_t i = 0; i < a.count; i++) order[first[a.ids[i] + 1]++] = i;

  // Every element of the table belongs to one task: blocks of tokens × blocks of columns, so that a token which most
  // positions share still has several tasks.
  constexpr int64_t kColumns = 64;
  const int64_t blocks = (a.n + kColumns - 1) / kColumns;
  const int64_t per_token = (a.count / a.vocab + 1) * (a.n < kColumns ? a.n : kColumns);
  parallel(a.vocab * blocks, kGrain / 2 / (per_token + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t block = task / a.vocab, v = task % a.vocab, left = block * kColumns;
      const int64_t width = a.n - left < kColumns ? a.n - left : kColumns;
      gather(a.grad_out + left, order + first[v], first[v + 1] - first[v], a.n, width, a.grad_table + v * a.n + left);
    }
  });
  return CFGD_OK;
}

int32_t masked_mean_forward(const MaskedMeanForwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  if (const int32_t code = check_bounds(a.starts, "starts", a.rows, a.positions, status)) return code;
  if (const int32_t code = check_bounds(a.ends, "ends", a.rows, a.positions, status)) return code;
  parallel(a.rows, kGrain / (a.positions * a.n + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* out = a.out + r * a.n;
      const int64_t count = a.ends[r] - a.starts[r];
      std::memset(out, 0, a.n * sizeof(float));
      for (int64_t j = a.starts[r]; j < a.ends[r]; j++) {
        const float* x = a.x + (r * a.positions + j) * a.n;
        for_vectors(0, a.n, [&](int64_t i, int lanes) {
          store_some(out + i, load_some(out + i, lanes, 0) + load_some(x + i, lanes, 0), lanes);
        });
      }
      if (count <= 0) continue;
      const float inverse = 1.0f / static_cast<float>(count);
      for (int64_t i = 0; i < a.n; i++) out[i] *= inverse;
    }
  });
  return CFGD_OK;
}

int32_t masked_mean_backward(const MaskedMeanBackwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  if (const int32_t code = check_bounds(a.starts, "starts", a.rows, a.positions, status)) return code;
  if (const int32_t code = check_bounds(a.ends, "ends", a.rows, a.positions, status)) return code;
  parallel(a.rows * a.positions, kGrain / (a.n + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      const int64_t r = p / a.positions, j = p % a.positions;
      float* out = a.grad_x + p * a.n;
      if (j < a.starts[r] || j >= a.ends[r]) {
        std::memset(out, 0, a.n * sizeof(float));
        continue;
      }
      const float inverse = 1.0f / static_cast<float>(a.ends[r] - a.starts[r]);
      for (int64_t i = 0; i < a.n; i++) out[i] = a.grad_out[r * a.n + i] * inverse;
    }
  });
  return CFGD_OK;
}

}  // namespace

void register_embedding(CpuTable& table) {
  set<EmbeddingForwardArgs, embedding_forward>(table, Op::embedding_forward);
  set<EmbeddingBackwardArgs, embedding_backward>(table, Op::embedding_backward);
  set<MaskedMeanForwardArgs, masked_mean_forward>(table, Op::masked_mean_forward);
  set<MaskedMeanBackwardArgs, masked_mean_backward>(table, Op::masked_mean_backward);
}

}  // namespace cfgd::CFGD_ISA
