#include "cpu/widened.h"

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "cpu/backend.h"
#include "ops/nn/activation/activation.h"
#include "ops/nn/attention/attention.h"
#include "ops/nn/elementwise/elementwise.h"
#include "ops/nn/embedding/embedding.h"
#include "ops/nn/matmul/matmul.h"
#include "ops/nn/norm/norm.h"
#include "tensor/element.h"

namespace cfgd {
namespace {

/// The float32 copies that stand in for arrays of bf16 during one operation.
class Copies {
 public:
  /// Replaces a pointer to `n` elements of bf16 that the operation reads.
  template <class P>
  void in(P*& elements, int64_t n) {
    if (!elements) return;
    const bf16* original = reinterpret_cast<const bf16*>(elements);
    float* copy = make(n);
    for (int64_t i = 0; i < n; i++) copy[i] = widened(original[i]);
    elements = reinterpret_cast<P*>(copy);
  }
  /// Replaces a pointer to `n` elements that it writes, all of them.
  template <class P>
  void out(P*& elements, int64_t n) {
    if (!elements) return;
    bf16* original = reinterpret_cast<bf16*>(elements);
    float* copy = make(n);
    elements = reinterpret_cast<P*>(copy);
    results_.push_back([=] {
      for (int64_t i = 0; i < n; i++) original[i] = narrowed<bf16>(copy[i]);
    });
  }
  /// As `out`, for elements that are read too.
  template <class P>
  void in_out(P*& elements, int64_t n) {
    P* original = elements;
    in(elements, n);
    if (!original) return;
    results_.push_back([original = reinterpret_cast<bf16*>(original), copy = reinterpret_cast<float*>(elements), n] {
      for (int64_t i = 0; i < n; i++) original[i] = narrowed<bf16>(copy[i]);
    });
  }
  /// Replaces a pointer to `lines` runs of `width` elements, a step apart, by one to the runs without gaps.
  template <class P>
  void in_lines(P*& elements, int64_t lines, int64_t width, int64_t step) {
    const bf16* original = reinterpret_cast<const bf16*>(elements);
    float* copy = make(lines * width);
    for (int64_t i = 0; i < lines * width; i++) copy[i] = widened(original[i / width * step + i % width]);
    elements = copy;
  }
  /// The same for elements that it writes; nothing between them is touched.
  void out_lines(float*& elements, int64_t lines, int64_t width, int64_t step) {
    bf16* original = reinterpret_cast<bf16*>(elements);
    float* copy = elements = make(lines * width);
    write_later(original, copy, lines, width, step, width);
  }
  /// When done: runs of elements, `step` apart, from those of a copy.
  void write_later(bf16* original, const float* copy, int64_t lines, int64_t width, int64_t step, int64_t copy_step) {
    results_.push_back([=] {
      for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < width; i++)
          original[line * step + i] = narrowed<bf16>(copy[line * copy_step + i]);
    });
  }
  void write_back() {
    for (const auto& result : results_) result();
  }

 private:
  float* make(int64_t n) {
    memory_.push_back(std::make_unique_for_overwrite<float[]>(static_cast<size_t>(n)));
    return memory_.back().get();
  }

  std::vector<std::unique_ptr<float[]>> memory_;
  std::vector<std::function<void()>> results_;
};

// Which arguments hold elements of the operation's type, and how many.


void swap(FillArgs& a, Copies& c) { c.out(a.out, a.n); }
void swap(AddArgs& a, Copies& c) { c.in(a.a, a.n), c.in(a.b, a.n), c.out(a.out, a.n); }
void swap(AccumulateArgs& a, Copies& c) { c.in_out(a.target, a.n), c.in(a.source, a.n); }
void swap(ScaleArgs& a, Copies& c) { c.in(a.x, a.n), c.out(a.out, a.n); }
void swap(SumRowsArgs& a, Copies& c) { c.in(a.x, a.rows * a.n); }
void swap(RepeatRowsArgs& a, Copies& c) { c.in(a.x, a.rows * a.n), c.out(a.out, a.rows * a.times * a.n); }
void swap(DropoutArgs& a, Copies& c) { c.in(a.x, a.n), c.out(a.out, a.n); }

void swap(MatmulArgs& a, Copies& c) {
  c.in(a.a, a.m * a.k), c.in(a.b, a.k * a.n);
  if (a.float_out) return;
  if (a.accumulate)
    c.in_out(a.out, a.m * a.n);
  else
    c.out(a.out, a.m * a.n);
}

/// q, k and v without gaps between positions, and their steps accordingly.
template <class Args>
void swap_sources(Args& a, Copies& c) {
  const AttentionShape& s = a.shape;
  const int64_t width = s.heads * s.head_dim;
  c.in_lines(a.q, s.rows * s.queries, width, a.q_step);
  c.in_lines(a.k, s.rows * s.keys, width, a.kv_step), c.in_lines(a.v, s.rows * s.keys, width, a.kv_step);
  a.q_step = a.kv_step = width;
}
void swap(AttentionForwardArgs& a, Copies& c) {
  swap_sources(a, c);
  c.out(a.out, a.shape.rows * a.shape.queries * a.q_step);
}
void swap(AttentionBackwardArgs& a, Copies& c) {
  const AttentionShape& s = a.shape;
  const int64_t width = s.heads * s.head_dim, queries = s.rows * s.queries, keys = s.rows * s.keys;
  c.in(a.out, queries * width), c.in(a.grad_out, queries * width);
  c.out_lines(a.grad_q, queries, width, a.q_step);
  c.out_lines(a.grad_k, keys, width, a.kv_step), c.out_lines(a.grad_v, keys, width, a.kv_step);
  swap_sources(a, c);
}
/// The cache as a copy, of which `positions` positions are written back.
template <class Args>
void swap_cache(Args& a, int64_t positions, Copies& c) {
  const QkvShape& s = a.shape;
  const int64_t heads = 2 * s.rows * s.heads, position = *a.position;
  bf16* original = reinterpret_cast<bf16*>(a.cache);
  c.in(a.cache, heads * a.capacity * s.head_dim);
  if (position < 0 || position + positions > a.capacity) return;  // an error
  const int64_t at = position * s.head_dim, step = a.capacity * s.head_dim;
  c.write_later(original + at, a.cache + at, heads, positions * s.head_dim, step, step);
}
int64_t elements_of(const QkvShape& s) { return s.rows * s.positions * 3 * s.heads * s.head_dim; }
void swap(CacheWriteArgs& a, Copies& c) { c.in(a.qkv, elements_of(a.shape)), swap_cache(a, a.shape.positions, c); }
void swap(AttentionDecodeArgs& a, Copies& c) {
  c.in(a.qkv, elements_of(a.shape)), swap_cache(a, 1, c);
  c.out(a.out, a.shape.rows * a.shape.heads * a.shape.head_dim);
}
void swap(RotaryArgs& a, Copies& c) { c.in(a.qkv, elements_of(a.shape)), c.out(a.out, elements_of(a.shape)); }

void swap(LayerNormForwardArgs& a, Copies& c) { c.in(a.x, a.rows * a.n), c.out(a.y, a.rows * a.n); }
void swap(LayerNormBackwardArgs& a, Copies& c) {
  const int64_t n = a.rows * a.n;
  c.in(a.grad_y, n), c.in(a.x, n), c.out(a.grad_x, n);
}
void swap(RmsNormForwardArgs& a, Copies& c) { c.in(a.x, a.rows * a.n), c.out(a.y, a.rows * a.n); }
void swap(RmsNormBackwardArgs& a, Copies& c) {
  const int64_t n = a.rows * a.n;
  c.in(a.grad_y, n), c.in(a.x, n), c.out(a.grad_x, n);
}

void swap(EmbeddingForwardArgs& a, Copies& c) { c.out(a.out, a.count * a.n); }
void swap(EmbeddingBackwardArgs& a, Copies& c) { c.in(a.grad_out, a.count * a.n); }
void swap(MaskedMeanForwardArgs& a, Copies& c) { c.in(a.x, a.rows * a.positions * a.n); }
void swap(MaskedMeanBackwardArgs& a, Copies& c) { c.out(a.grad_x, a.rows * a.positions * a.n); }

void swap(ActivationForwardArgs& a, Copies& c) { c.in(a.x, a.n), c.out(a.y, a.n); }
void swap(ActivationBackwardArgs& a, Copies& c) { c.in(a.x, a.n), c.in(a.grad_y, a.n), c.out(a.grad_x, a.n); }
void swap(GatedForwardArgs& a, Copies& c) { c.in(a.x, 2 * a.rows * a.n), c.out(a.y, a.rows * a.n); }
void swap(GatedBackwardArgs& a, Copies& c) {
  c.in(a.x, 2 * a.rows * a.n), c.in(a.grad_y, a.rows * a.n), c.out(a.grad_x, 2 * a.rows * a.n);
}

template <class Args>
int32_t run(Op op, const void* args, uint32_t bytes, cfgd_status* status) {
  if (!args) return CFGD_OK;  // has_widened
  Args copy;
  if (bytes != sizeof copy) return cfgd_fail(status, CFGD_DEVICE, "", "operation %u: a wrong size of arguments", Variant(op).code());
  std::memcpy(&copy, args, sizeof copy);
  Copies copies;
  swap(copy, copies);
  const int32_t code = cpu_launch(Variant(op).code(), &copy, bytes, status);
  // After an error too: what an operation leaves alone when it fails was copied in, or is undefined anyway.
  copies.write_back();
  return code;
}

}  // namespace

int32_t launch_widened(Variant variant, const void* args, uint32_t bytes, cfgd_status* status) {
  const Op op = variant.op;
  if (variant.type != DType::bf16)
    return cfgd_fail(status, CFGD_DEVICE, "", "operation %u is not available in %s", Variant(op).code(), name_of(variant.type));
  switch (op) {
    case Op::fill: return run<FillArgs>(op, args, bytes, status);
    case Op::add: return run<AddArgs>(op, args, bytes, status);
    case Op::accumulate: return run<AccumulateArgs>(op, args, bytes, status);
    case Op::scale: return run<ScaleArgs>(op, args, bytes, status);
    case Op::sum_rows: return run<SumRowsArgs>(op, args, bytes, status);
    case Op::repeat_rows: return run<RepeatRowsArgs>(op, args, bytes, status);
    case Op::dropout: return run<DropoutArgs>(op, args, bytes, status);
    case Op::matmul: return run<MatmulArgs>(op, args, bytes, status);
    case Op::attention_forward: return run<AttentionForwardArgs>(op, args, bytes, status);
    case Op::attention_backward: return run<AttentionBackwardArgs>(op, args, bytes, status);
    case Op::attention_decode: return run<AttentionDecodeArgs>(op, args, bytes, status);
    case Op::cache_write: return run<CacheWriteArgs>(op, args, bytes, status);
    case Op::rotary: return run<RotaryArgs>(op, args, bytes, status);
    case Op::layer_norm_forward: return run<LayerNormForwardArgs>(op, args, bytes, status);
    case Op::layer_norm_backward: return run<LayerNormBackwardArgs>(op, args, bytes, status);
    case Op::rms_norm_forward: return run<RmsNormForwardArgs>(op, args, bytes, status);
    case Op::rms_norm_backward: return run<RmsNormBackwardArgs>(op, args, bytes, status);
    case Op::embedding_forward: return run<EmbeddingForwardArgs>(op, args, bytes, status);
    case Op::embedding_backward: return run<EmbeddingBackwardArgs>(op, args, bytes, status);
    case Op::masked_mean_forward: return run<MaskedMeanForwardArgs>(op, args, bytes, status);
    case Op::masked_mean_backward: return run<MaskedMeanBackwardArgs>(op, args, bytes, status);
    case Op::activation_forward: return run<ActivationForwardArgs>(op, args, bytes, status);
    case Op::activation_backward: return run<ActivationBackwardArgs>(op, args, bytes, status);
    case Op::gated_forward: return run<GatedForwardArgs>(op, args, bytes, status);
    case Op::gated_backward: return run<GatedBackwardArgs>(op, args, bytes, status);
    default: return cfgd_fail(status, CFGD_DEVICE, "", "operation %u is not available in bfloat16", Variant(op).code());
  }
}

bool has_widened(Variant variant) {
  cfgd_status status{};
  return launch_widened(variant, nullptr, 0, &status) == CFGD_OK;
}

}  // namespace cfgd
