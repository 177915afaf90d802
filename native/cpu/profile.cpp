#include "cpu/profile.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <mutex>

#include "ops/nn/activation/activation.h"
#include "ops/nn/attention/attention.h"
#include "ops/nn/cross_entropy/cross_entropy.h"
#include "ops/nn/elementwise/elementwise.h"
#include "ops/nn/embedding/embedding.h"
#include "ops/nn/matmul/matmul.h"
#include "ops/nn/norm/norm.h"
#include "ops/op.h"

namespace cfgd {
namespace {

constexpr const char* kNames[] = {
    "guided_logits",        "sample_guided",      "decode_sample",       "distillation_loss",     "diversity_reward",
    "lerp",                 "weighted_average",   "slerp",               "fill",                "add",                   "accumulate",
    "scale",                "sum_rows",           "sum_all",             "repeat_rows",           "dropout",
    "row_positions",        "advance",            "cast",                "matmul",                "attention_forward",
    "attention_backward",   "attention_decode",   "cache_write",         "rotary",                "layer_norm_forward",
    "layer_norm_backward",  "rms_norm_forward",   "rms_norm_backward",   "l2_normalize_forward",  "l2_normalize_backward",
    "embedding_forward",    "embedding_backward", "masked_mean_forward", "masked_mean_backward",  "activation_forward",
    "activation_backward",  "gated_forward",      "gated_backward",      "cross_entropy",         "adamw",
    "global_norm"};
static_assert(std::size(kNames) == static_cast<size_t>(Op::count), "as in ops/op.h");

struct Work {
  double flops = 0, bytes = 0;
  std::string shape;
};

template <class Args>
const Args& as(const void* args) {
  return *static_cast<const Args*>(args);
}

/// `products` of [queries, head_dim] by [head_dim, keys] or the like, in every head.
double attention_flops(const AttentionShape& s, bool causal, int products) {
  return 2.0 * products * static_cast<double>(s.rows * s.heads) * static_cast<double>(s.queries * s.keys * s.head_dim) *
         (causal ? 0.5 : 1);
}

Work work_of(const Variant& variant, const void* args) {
  const double size = variant.type == DType::f32 ? 4 : 2;
  const auto moved = [&](double arrays, int64_t elements) { return Work{0, arrays * size * static_cast<double>(elements), ""}; };
  switch (variant.op) {
    case Op::matmul: {
      const auto& a = as<MatmulArgs>(args);
      const auto text = [](int64_t n) { return std::to_string(n); };
      return {2.0 * static_cast<double>(a.m * a.n) * static_cast<double>(a.k), 0,
              text(a.m) + " × " + text(a.k) + (a.transpose_a ? " (aᵀ)" : "") + " · " + text(a.k) + " × " + text(a.n) +
                  (a.transpose_b ? " (bᵀ)" : "") + (a.accumulate ? " +=" : "")};
    }
    case Op::attention_forward: return {attention_flops(as<AttentionForwardArgs>(args).shape, as<AttentionForwardArgs>(args).causal, 2), 0, ""};
    case Op::attention_backward: return {attention_flops(as<AttentionBackwardArgs>(args).shape, as<AttentionBackwardArgs>(args).causal, 5), 0, ""};
    case Op::add: return moved(3, as<AddArgs>(args).n);
    case Op::accumulate: return moved(3, as<AccumulateArgs>(args).n);
    case Op::sum_rows: return moved(1, as<SumRowsArgs>(args).rows * as<SumRowsArgs>(args).n);
    case Op::layer_norm_forward: return moved(2, as<LayerNormForwardArgs>(args).rows * as<LayerNormForwardArgs>(args).n);
    case Op::layer_norm_backward: return moved(3, as<LayerNormBackwardArgs>(args).rows * as<LayerNormBackwardArgs>(args).n);
    case Op::activation_forward: return moved(2, as<ActivationForwardArgs>(args).n);
    case Op::activation_backward: return moved(3, as<ActivationBackwardArgs>(args).n);
    case Op::embedding_forward: return moved(1, as<EmbeddingForwardArgs>(args).count * as<EmbeddingForwardArgs>(args).n);
    case Op::embedding_backward: return moved(1, as<EmbeddingBackwardArgs>(args).count * as<EmbeddingBackwardArgs>(args).n);
    case Op::cross_entropy: return moved(2, as<CrossEntropyArgs>(args).rows * as<CrossEntropyArgs>(args).vocab);
    default: return {};
  }
}

std::atomic<bool> on{false};
std::mutex mutex;
auto& records() {
  static auto* map = new std::map<std::string, OperationTime>();
  return *map;
}

}  // namespace

void set_profiling(bool begin) {
  std::lock_guard lock(mutex);
  if (begin) records().clear();
  on = begin;
}

bool profiling() { return on.load(std::memory_order_relaxed); }

void record_launch(uint32_t op, const void* args, double seconds) {
  const Variant variant = Variant::of_code(op);
  const std::string name = kNames[static_cast<uint32_t>(variant.op)];
  const Work work = work_of(variant, args);
  std::lock_guard lock(mutex);
  OperationTime& entry = records()[name + ' ' + work.shape];
  entry.name = name;
  entry.shape = work.shape;
  entry.calls++;
  entry.seconds += seconds;
  entry.flops += work.flops;
  entry.bytes += work.bytes;
}

std::vector<OperationTime> profile() {
  std::vector<OperationTime> times;
  {
    std::lock_guard lock(mutex);
    for (const auto& [key, entry] : records()) times.push_back(entry);
  }
  std::sort(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return times;
}

}  // namespace cfgd
