// Looking up rows of a table, and averaging rows of a sequence.
#pragma once
#include <cstdint>

namespace cfgd {

/// out[i] = table[ids[i]]. An id outside [0, vocab) is an error (CFGD_VALUE, naming its position).
template <class T>
struct EmbeddingForward {
  const float* table;  // [vocab, n]
  const int32_t* ids;  // [count]
  T* out;          // [count, n]
  int64_t count, vocab, n;
};
using EmbeddingForwardArgs = EmbeddingForward<float>;

/// grad_table[v] = Σ over i with ids[i] = v of grad_out[i], by rising i; a row that no id names is 0. In double; on CUDA
/// in float where at most 256 are added in turn, and in double across. An id out of range is an error.
template <class T>
struct EmbeddingBackward {
  const T* grad_out;  // [count, n]
  const int32_t* ids;     // [count]
  float* grad_table;      // [vocab, n]
  int32_t* buckets;       // on CUDA [vocab + 1 + count]; else not read
  float* partials;        // on CUDA [embedding_pieces(count) of workspace.h, 2, n]; else not read
  int64_t count, vocab, n;
};
using EmbeddingBackwardArgs = EmbeddingBackward<float>;

/// out[r] = mean of x[r, j] over starts[r] ≤ j < ends[r]; 0 when there is no such j. Bounds outside [0, positions] are
/// an error (CFGD_VALUE).
template <class T>
struct MaskedMeanForward {
  const T* x;         // [rows, positions, n]
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  float* out;             // [rows, n]
  int64_t rows, positions, n;
};
using MaskedMeanForwardArgs = MaskedMeanForward<float>;

/// grad_x[r, j] = grad_out[r] / (ends[r] − starts[r]) for starts[r] ≤ j < ends[r], else 0. Bounds as in the forward.
template <class T>
struct MaskedMeanBackward {
  const float* grad_out;  // [rows, n]
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  T* grad_x;          // [rows, positions, n]
  int64_t rows, positions, n;
};
using MaskedMeanBackwardArgs = MaskedMeanBackward<float>;

}  // namespace cfgd
