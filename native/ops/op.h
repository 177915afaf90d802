// Every operation by number. An operation travels to a device as this number and a plain struct of arguments, whose
// definition, with the formula and the shapes, is in the header of its family.
#pragma once
#include <cstdint>

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
  // nn/elementwise.h
  fill,
  add,
  scale,
  multiply,
  copy_strided,
  index_add,
  repeat_rows,
  sum_rows,
  sum_all,
  // nn/matmul.h
  matmul,
  // nn/attention.h
  attention_forward,
  attention_backward,
  attention_decode,
  cache_write,
  // nn/norm.h
  layer_norm_forward,
  layer_norm_backward,
  rms_norm_forward,
  rms_norm_backward,
  l2_normalize_forward,
  l2_normalize_backward,
  // nn/embedding.h
  embedding_forward,
  embedding_backward,
  // nn/positions.h
  rotary,
  // nn/activation.h
  activation_forward,
  activation_backward,
  gated_forward,
  gated_backward,
  // nn/dropout.h
  dropout,
  // nn/pooling.h
  masked_mean_forward,
  masked_mean_backward,
  // nn/cross_entropy.h
  cross_entropy,
  // optim/optim.h
  adamw,
  global_norm,
  count
};

}  // namespace cfgd
