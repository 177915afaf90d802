// Multi-head scaled dot-product attention, its key/value cache, and rotary positions.
//
// Per row r and head, with the keys of query i being K(i) = { j : starts[r] ≤ j < ends[r], and j ≤ i when causal }:
//
//   s_ij   = q_i · k_j / √head_dim                     for j in K(i)
//   lse_i  = log Σ_j exp(s_ij)                         −∞ without keys
//   p_ij   = exp(s_ij − lse_i)
//   out_i  = Σ_j p_ij v_j                              0 without keys
//
// (Vaswani et al., "Attention is all you need", 2017.) No [queries, keys] matrix is kept: keys are taken in tiles, with
// the softmax's maximum and sum corrected from tile to tile, and the backward pass recomputes p from lse, the tiling of
// Dao et al., "FlashAttention", 2022:
//
//   δ_i    = Σ_d gradOut_id out_id
//   ds_ij  = p_ij (gradOut_i · v_j − δ_i)
//   gradQ_i = Σ_j ds_ij k_j / √head_dim    gradK_j = Σ_i ds_ij q_i / √head_dim    gradV_j = Σ_i p_ij gradOut_i
//
// Tiles begin at starts[r], so a row's result depends neither on the other rows nor, when causal, on what follows.
// Errors (CFGD_VALUE): starts[r] or ends[r] outside 0 … keys. starts[r] ≥ ends[r] means no keys.
//
// Queries, keys and values are views: the heads of a position follow each other, head_dim elements each; positions lie a
// step apart; the rows follow each other without gaps, so row r begins r · queries · q_step (r · keys · kv_step) elements
// after row 0. Self-attention takes all three from qkv [rows, positions, 3, heads, head_dim], cross-attention q from
// [rows, queries, heads, head_dim], k and v from [rows, keys, 2, heads, head_dim].
#pragma once
#include <cstdint>

#include "tensor/element.h"

namespace cfgd {

struct AttentionShape {
  int64_t rows, queries, keys, heads, head_dim;
};

template <class T>
struct AttentionForward {
  const T *q, *k, *v;     // views of [rows, queries | keys, heads, head_dim]
  int64_t q_step, kv_step;  // elements from one position to the next, ≥ heads · head_dim
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  T* out;                 // [rows, queries, heads · head_dim]
  float* lse;             // [rows, heads, queries]: natural logarithm
  AttentionShape shape;
  int32_t causal;
};
using AttentionForwardArgs = AttentionForward<float>;

template <class T>
struct AttentionBackward {
  const T *q, *k, *v;     // as given to the forward pass
  int64_t q_step, kv_step;
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  const T* out;           // of the forward pass
  const float* lse;       // of the forward pass
  const T* grad_out;      // [rows, queries, heads · head_dim]
  T *grad_q, *grad_k, *grad_v;  // views like q, k and v, with their steps; written at their elements only
  float* delta;           // [rows, heads, queries]: δ, scratch memory for devices that take queries and keys in two passes
  AttentionShape shape;
  int32_t causal;
};
using AttentionBackwardArgs = AttentionBackward<float>;

/// The shape of packed queries, keys and values: qkv [rows, positions, 3, heads, head_dim], in this order.
struct QkvShape {
  int64_t rows, positions, heads, head_dim;
};

/// Copies keys and values of `shape.positions` positions into the cache, from position[0] on.
/// Error (CFGD_VALUE): position[0] < 0 or position[0] + positions > capacity.
template <class T>
struct CacheWrite {
  const T* qkv;             // [rows, positions, 3, heads, head_dim]
  const int32_t* position;  // [1]
  T* cache;                 // [2, rows, heads, capacity, head_dim]: keys, then values
  QkvShape shape;
  int64_t capacity;
};
using CacheWriteArgs = CacheWrite<float>;

/// One step of decoding: writes the key and value of one position into the cache and attends from its query to the
/// cached keys starts[r] … position[0], by the formula above (another order of additions than the forward pass).
/// Errors (CFGD_VALUE): position[0] outside 0 … capacity − 1, starts[r] < 0. starts[r] > position[0] gives 0.
template <class T>
struct AttentionDecode {
  const T* qkv;             // [rows, 1, 3, heads, head_dim]
  const int32_t* starts;    // [rows]
  const int32_t* position;  // [1]
  T* cache;                 // [2, rows, heads, capacity, head_dim]
  T* out;                   // [rows, heads · head_dim]
  float* partial;           // [rows, heads, decode_parts(capacity), head_dim + 2]: scratch memory, see below
  QkvShape shape;           // positions = 1
  int64_t capacity;
};
using AttentionDecodeArgs = AttentionDecode<float>;

/// Devices that need more parallel work than rows · heads split a row's keys from starts[r] on into parts of this many,
/// so that what a part holds, and the result, depends neither on the capacity nor on the batch. Each leaves its
/// unnormalised sum, the maximum and the sum of its weights.
constexpr int64_t kDecodePart = 128;
CFGD_ANYWHERE constexpr int64_t decode_parts(int64_t capacity) { return (capacity + kDecodePart - 1) / kDecodePart; }

/// Rotary positions (Su et al., "RoFormer", 2021) on queries and keys; values are copied. Halves are paired, as in
/// GPT-NeoX and Llama: with h = head_dim / 2, for i < h and angle a_i = position · base^(−2i / head_dim),
///
///   out_i = x_i cos a_i − x_{i+h} sin a_i      out_{i+h} = x_{i+h} cos a_i + x_i sin a_i
///
/// `inverse` rotates by −a_i: the transpose, hence the backward pass. Angles in double precision; sines and cosines to
/// the precision of float32. head_dim is even.
template <class T>
struct Rotary {
  const T* qkv;              // [rows, positions, 3, heads, head_dim]
  const int32_t* positions;  // [rows, positions]
  T* out;                    // like qkv
  QkvShape shape;
  double base;
  int32_t inverse;
};
using RotaryArgs = Rotary<float>;

}  // namespace cfgd
