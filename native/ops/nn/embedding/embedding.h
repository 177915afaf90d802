// Looking up rows of a table, and averaging rows of a sequence.
#pragma once
#include <cstdint>

namespace cfgd {

/// out[i] = table[ids[i]]. An id outside [0, vocab) is an error (CFGD_VALUE, naming its position).
struct EmbeddingForwardArgs {
  const float* table;  // [vocab, n]
  const int32_t* ids;  // [count]
  float* out;          // [count, n]
  int64_t count, vocab, n;
};

/// grad_table[v] = Σ over i with ids[i] = v of grad_out[i], in double and by rising i; a row that no id names is 0.
/// An id out of range is an error.
struct EmbeddingBackwardArgs {
  const float* grad_out;  // [count, n]
  const int32_t* ids;     // [count]
  float* grad_table;      // [vocab, n]
  int64_t count, vocab, n;
};

/// out[r] = mean of x[r, j] over starts[r] ≤ j < ends[r]; 0 when there is no such j. Bounds outside [0, positions] are
/// an error (CFGD_VALUE).
struct MaskedMeanForwardArgs {
  const float* x;         // [rows, positions, n]
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  float* out;             // [rows, n]
  int64_t rows, positions, n;
};

/// grad_x[r, j] = grad_out[r] / (ends[r] − starts[r]) for starts[r] ≤ j < ends[r], else 0. Bounds as in the forward.
struct MaskedMeanBackwardArgs {
  const float* grad_out;  // [rows, n]
  const int32_t* starts;  // [rows]
  const int32_t* ends;    // [rows]
  float* grad_x;          // [rows, positions, n]
  int64_t rows, positions, n;
};

}  // namespace cfgd
