#include "ops/nn/cross_entropy/cross_entropy.h"

#include "cpu/exp.h"
#include "cpu/kernel.h"
#include "cpu/rows.h"
#include "cpu/scratch.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // logits: some 20 µs of exponentials
/// Logits that stay in the nearest cache while they are looked at twice; and what of them is summed in float.
constexpr int64_t kBlock = 128 * kLanes, kPart = 64 * kLanes;

/// Value and gradient of one row with a valid target; false when a logit is NaN or +∞, or −∞ at the target. The logits
/// are read once: the exponentials of a block, relative to the largest logit so far, stay in scratch memory until the
/// row's sum is known.
template <class T>
bool cross_entropy_row(const T* logits, int64_t target, float scale, float* per_row, T* grad, int64_t vocab) {
  static thread_local Scratch scratch;
  const int64_t width = (vocab + kLanes - 1) / kLanes * kLanes, blocks = (vocab + kBlock - 1) / kBlock;
  float *exponentials = scratch.get<float>(width + blocks), *top_of = exponentials + width;
  float top = -INFINITY;
  double sum = 0;
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t begin = b * kBlock, end = begin + kBlock < vocab ? begin + kBlock : vocab;
    Vec highest = broadcast(-INFINITY);
    IVec bad = {};
    for_each_vector(begin, end, [&](int64_t i, auto io) {
      const Vec z = io.load(logits + i, -INFINITY);
      bad |= ~(z < broadcast(INFINITY));
      highest = max(z, highest);
    });
    if (any(bad)) return false;
    const float here = reduce_max(highest);
    if (here > top) {
      sum *= std::exp(static_cast<double>(top) - here);
      top = here;
    }
    top_of[b] = top;
    const float shift = top == -INFINITY ? 0 : top;
    for (int64_t at = begin; at < end; at += kPart) {
      Vec part = {};
      for_each_vector(at, at + kPart < end ? at + kPart : end, [&](int64_t i, auto io) {
        const Vec e = exp_scaled(io.load(logits + i, -INFINITY) - shift, kLog2E);
        part += e;
        store(exponentials + i, e);
      });
      sum += reduce_add(part);
    }
  }
  const float at_target = widened(logits[target]);
  if (at_target == -INFINITY) return false;
  *per_row = static_cast<float>(std::log(sum) - (static_cast<double>(at_target) - top));
  if (scale == 0) {
    std::memset(grad, 0, sizeof(T) * static_cast<uint64_t>(vocab));
    return true;
  }
  for (int64_t b = blocks - 1; b >= 0; b--) {
    const int64_t begin = b * kBlock, end = begin + kBlock < vocab ? begin + kBlock : vocab;
    const double lower = std::exp(static_cast<double>(top_of[b]) - top);
    const auto factor = static_cast<float>(scale / sum * lower);
    for_each_vector(begin, end, [&](int64_t i, auto io) { io.store(grad + i, load(exponentials + i) * factor); });
    if (target >= begin && target < end)
      grad[target] = narrowed<T>(static_cast<float>((exponentials[target] * lower - sum) / sum * scale));
  }
  return true;
}

/// Says what is wrong with a row that cross_entropy_row refused.
template <class T>
int32_t explain(const CrossEntropy<T>& a, int64_t row, cfgd_status* status) {
  const T* logits = a.logits + row * a.vocab;
  const auto r = static_cast<long long>(row);
  for (int64_t v = 0; v < a.vocab; v++) {
    const float logit = widened(logits[v]);
    if (!(logit < INFINITY))
      return cfgd_fail(status, CFGD_VALUE, "logits", "expected a finite logit or -Infinity at [%lld, %lld], got %s", r,
                       static_cast<long long>(v), logit == INFINITY ? "Infinity" : "NaN");
  }
  return cfgd_fail(status, CFGD_VALUE, "logits", "expected a finite logit at the target [%lld, %d], got -Infinity", r,
                   a.targets[row]);
}

template <class T>
int32_t cross_entropy(const CrossEntropy<T>& a, const Parallel& parallel, cfgd_status* status) {
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
      T* grad = a.grad + r * a.vocab;
      if (a.targets[r] < 0) {
        a.per_row[r] = 0;
        std::memset(grad, 0, sizeof(T) * static_cast<uint64_t>(a.vocab));
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

void register_cross_entropy(CpuTable& table) {
  set<CrossEntropy<float>, cross_entropy<float>>(table, Op::cross_entropy);
  set<CrossEntropy<bf16>, cross_entropy<bf16>>(table, {Op::cross_entropy, DType::bf16});
}

}  // namespace cfgd::CFGD_ISA
