#include "ops/nn/cross_entropy/cross_entropy.h"

#include "cpu/kernel.h"
#include "ops/nn/reduce.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // logits: some 20 µs of exponentials

/// Value and gradient of one row with a valid target; false when a logit is NaN or +∞, or −∞ at the target.
bool cross_entropy_row(const float* logits, int64_t target, float scale, float* per_row, float* grad, int64_t vocab) {
  Vec highest = broadcast(-INFINITY);
  IVec bad = {};
  for_vectors(0, vocab, [&](int64_t i, int lanes) {
    const Vec z = load_some(logits + i, lanes, -INFINITY);
    bad |= !(z < broadcast(INFINITY));
    highest = max(highest, z);
  });
  if (any(bad) || logits[target] == -INFINITY) return false;
  const float top = reduce_max(highest);
  const double sum = lane_sum(vocab, [&](int64_t i, int lanes) {
    const Vec e = exp(load_some(logits + i, lanes, -INFINITY) - top);
    store_some(grad + i, e, lanes);
    return e;
  });
  *per_row = static_cast<float>(std::log(sum) - (static_cast<double>(logits[target]) - top));
  if (scale == 0) {
    std::memset(grad, 0, vocab * sizeof(float));
    return true;
  }
  const double at_target = (grad[target] - sum) / sum * scale;
  const auto factor = static_cast<float>(scale / sum);
  for_vectors(0, vocab, [&](int64_t i, int lanes) {
    store_some(grad + i, load_some(grad + i, lanes, 0) * factor, lanes);
  });
  grad[target] = static_cast<float>(at_target);
  return true;
}

/// Says what is wrong with a row that cross_entropy_row refused.
int32_t explain(const CrossEntropyArgs& a, int64_t row, cfgd_status* status) {
  const float* logits = a.logits + row * a.vocab;
  const auto r = static_cast<long long>(row);
  for (int64_t v = 0; v < a.vocab; v++)
    if (!(logits[v] < INFINITY))
      return cfgd_fail(status, CFGD_VALUE, "logits", "expected a finite logit or -Infinity at [%lld, %lld], got %s", r,
                       static_cast<long long>(v), logits[v] == INFINITY ? "Infinity" : "NaN");
  return cfgd_fail(status, CFGD_VALUE, "logits", "expected a finite logit at the target [%lld, %d], got -Infinity", r,
                   a.targets[row]);
}

int32_t cross_entropy(const CrossEntropyArgs& a, const Parallel& parallel, cfgd_status* status) {
  for (int64_t r = 0; r < a.rows; r++) {
    if (a.targets[r] < -1 || a.targets[r] >= a.vocab)
      return cfgd_fail(status, CFGD_VALUE, "targets", "expected a token from -1 to %lld at %lld, got %d",
                       static_cast<long long>(a.vocab - 1), static_cast<long long>(r), a.targets[r]);
    if (a.weights && !(__builtin_fabsf(a.weights[r]) < INFINITY))
      return cfgd_fail(status, CFGD_VALUE, "weights", "expected a finite number at %lld, got %g",
                       static_cast<long long>(r), static_cast<double>(a.weights[r]));
  }
  int64_t faulty = a.rows;  // the first one, whichever thread meets it
  parallel(a.rows, kGrain / (a.vocab + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* grad = a.grad + r * a.vocab;
      if (a.targets[r] < 0) {
        a.per_row[r] = 0;
        std::memset(grad, 0, a.vocab * sizeof(float));
        continue;
      }
      const float scale = a.weights ? a.factor * a.weights[r] : a.factor;
      if (cross_entropy_row(a.logits + r * a.vocab, a.targets[r], scale, a.per_row + r, grad, a.vocab)) continue;
      int64_t seen = __atomic_load_n(&faulty, __ATOMIC_RELAXED);
      while (r < seen && !__atomic_compare_exchange_n(&faulty, &seen, r, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      }
    }
  });
  if (faulty < a.rows) return explain(a, faulty, status);
  double total = 0;
  for (int64_t r = 0; r < a.rows; r++) total += static_cast<double>(a.weights ? a.weights[r] : 1.0f) * a.per_row[r];
  a.loss[0] = static_cast<float>(total * a.factor);
  return CFGD_OK;
}

}  // namespace

void register_cross_entropy(CpuTable& table) { set<CrossEntropyArgs, cross_entropy>(table, Op::cross_entropy); }

}  // namespace cfgd::CFGD_ISA
