// Multi-head scaled dot-product attention, its key/value cache, and rotary positions. All float32.
//
// Queries, keys and values come in one tensor qkv [rows, positions, 3, heads, head_dim], in this order. Per row r and
// head, with the keys of query i being K(i) = { j : starts[r] ≤ j < ends[r], and j ≤ i when causal }:
//
//   s_ij   = q_i · k_j / √head_dim                     for j in K(i)
//   lse_i  = log Σ_j exp(s_ij)                         −∞ without keys
//   p_ij   = exp(s_ij − lse_i)
//   out_i  = Σ_j p_ij v_j                              0 without keys
//
// (Vaswani et al., "Attention is all you need", 2017.) No [positions, positions] matrix is kept: keys are taken in
// tiles, with the softmax's maximum and sum corrected from tile to tile, and the backward pass recomputes p from lse,
// the tiling of Dao et al., "FlashAttention", 2022:
//
//   δ_i    = Σ_d gradOut_id out_id
//   ds_ij  = p_ij (gradOut_i · v_j − δ_i)
//   gradQ_i = Σ_j ds_ij k_j / √head_dim    gradK_j = Σ_i ds_ij q_i / √head_dim    gradV_j = Σ_i p_ij gradOut_i
//
// Tiles begin at starts[r], so a row's result depends neither on the other rows nor, when causal, on what follows.
// Errors (CFGD_VALUE): starts[r] or ends[r] outside 0 … positions. starts[r] ≥ ends[r] means no keys.
#pragma once
#include <cstdint>

namespace cfgd {

struct AttentionShape {
  int64_t rows, positions, heads, head_dim;
};

struct AttentionForwardArgs {
  const float* qkv;       // [rows, positions, 3, heads, head_dim]
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  float* out;             // [rows, positions, heads · head_dim]
  float* lse;             // [rows, heads, positions]: natural logarithm
  AttentionShape shape;
  int32_t causal;
};

struct AttentionBackwardArgs {
  const float* qkv;       // as given to the forward pass
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  const float* out;       // of the forward pass
  const float* lse;       // of the forward pass
  const float* grad_out;  // [rows, positions, heads · head_dim]
  float* grad_qkv;        // [rows, positions, 3, heads, head_dim]
  AttentionShape shape;
  int32_t causal;
};

/// Copies keys and values of `shape.positions` positions into the cache, from position[0] on.
/// Error (CFGD_VALUE): position[0] < 0 or position[0] + positions > capacity.
struct CacheWriteArgs {
  const float* qkv;         // [rows, positions, 3, heads, head_dim]
  const int32_t* position;  // [1]
  float* cache;             // [2, rows, heads, capacity, head_dim]: keys, then values
  AttentionShape shape;
  int64_t capacity;
};

/// One step of decoding: writes the key and value of one position into the cache and attends from its query to the
/// cached keys starts[r] … position[0], by the formula above (another order of additions than the forward pass).
/// Errors (CFGD_VALUE): position[0] outside 0 … capacity − 1, starts[r] < 0. starts[r] > position[0] gives 0.
struct AttentionDecodeArgs {
  const float* qkv;         // [rows, 1, 3, heads, head_dim]
  const int32_t* starts;    // [rows]
  const int32_t* position;  // [1]
  float* cache;             // [2, rows, heads, capacity, head_dim]
  float* out;               // [rows, heads · head_dim]
  AttentionShape shape;     // positions = 1
  int64_t capacity;
};

/// Rotary positions (Su et al., "RoFormer", 2021) on queries and keys; values are copied. Halves are paired, as in
/// GPT-NeoX and Llama: with h = head_dim / 2, for i < h and angle a_i = position · base^(−2i / head_dim),
///
///   out_i = x_i cos a_i − x_{i+h} sin a_i      out_{i+h} = x_{i+h} cos a_i + x_i sin a_i
///
/// `inverse` rotates by −a_i: the transpose, hence the backward pass. Angles, sines and cosines in double precision.
/// head_dim is even.
struct RotaryArgs {
  const float* qkv;          // [rows, positions, 3, heads, head_dim]
  const int32_t* positions;  // [rows, positions]
  float* out;                // like qkv
  AttentionShape shape;
  double base;
  int32_t inverse;
};

}  // namespace cfgd
