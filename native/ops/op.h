// Every operation by number. An operation travels to a device as this number and a plain struct of arguments, whose
// definition, with the formula and the shapes, is in the header of its family.
//
// Arguments that are templates of an element type T exist for float32 and, on the same layout, for bfloat16 (bf16 of
// tensor/element.h): values are widened to float32 when read and rounded when written; arithmetic and all other
// arguments stay float32. The type is part of the number that travels.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace cfgd {

enum class Op : uint32_t {
  // guidance/guidance.h
  guided_logits,
  sample_guided,
  decode_sample,
  // distill/distill.h
  distillation_loss,
  // diversity/diversity.h
  diversity_reward,
  // merge/merge.h
  lerp,
  weighted_average,
  slerp,
  // nn/elementwise/elementwise.h
  fill,
  add,
  accumulate,
  scale,
  sum_rows,
  sum_all,
  repeat_rows,
  dropout,
  row_positions,
  advance,
  cast,
  // nn/matmul/matmul.h
  matmul,
  // nn/attention/attention.h
  attention_forward,
  attention_backward,
  attention_decode,
  cache_write,
  rotary,
  // nn/norm/norm.h
  layer_norm_forward,
  layer_norm_backward,
  rms_norm_forward,
  rms_norm_backward,
  l2_normalize_forward,
  l2_normalize_backward,
  // nn/embedding/embedding.h
  embedding_forward,
  embedding_backward,
  masked_mean_forward,
  masked_mean_backward,
  // nn/activation/activation.h
  activation_forward,
  activation_backward,
  gated_forward,
  gated_backward,
  // nn/cross_entropy/cross_entropy.h
  cross_entropy,
  // optim/optim.h
  adamw,
  global_norm,
  count
};

/// An operation on elements of a type.
struct Variant {
  Op op;
  DType type = DType::f32;

  Variant(Op op_, DType type_ = DType::f32) : op(op_), type(type_) {}
  /// As it travels to a backend.
  uint32_t code() const { return static_cast<uint32_t>(op) | static_cast<uint32_t>(type) << kTypeShift; }
  static Variant of_code(uint32_t code) {
    return {static_cast<Op>(code & ((1u << kTypeShift) - 1)), static_cast<DType>(code >> kTypeShift)};
  }
  static constexpr int kTypeShift = 12;
};

}  // namespace cfgd
