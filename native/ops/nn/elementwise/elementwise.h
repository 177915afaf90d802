// Operations on every element, and the sums and counters a model needs beside its layers.
#pragma once
#include <cstdint>

namespace cfgd {

/// out[i] = the 32 bits of the value, for float32 and int32 alike.
struct FillArgs {
  uint32_t* out;  // [n]
  uint32_t bits;
  int64_t n;
};

/// out = a + b
struct AddArgs {
  const float* a;  // [n]
  const float* b;  // [n]
  float* out;      // [n]
  int64_t n;
};

/// target += source · factor, in place. The two may be the same memory, not overlap in part.
struct AccumulateArgs {
  float* target;        // [n]
  const float* source;  // [n]
  float factor;
  int64_t n;
};

/// out = x · factor
struct ScaleArgs {
  const float* x;  // [n]
  float* out;      // [n]
  float factor;
  int64_t n;
};

/// out[j] = Σ_r x[r, j]; float within 256 rows, double across. No rows: 0.
struct SumRowsArgs {
  const float* x;  // [rows, n]
  float* out;      // [n]
  int64_t rows, n;
};

/// out[0] = Σ x; float within 512 elements, double across. No elements: 0.
struct SumAllArgs {
  const float* x;  // [n]
  float* out;      // [1]
  int64_t n;
};

/// out[r · times + t] = x[r]: each row `times` times in a row, of any 4-byte type.
struct RepeatRowsArgs {
  const uint32_t* x;  // [rows, n]
  uint32_t* out;      // [rows · times, n]
  int64_t rows, n, times;
};

/// out[i] = x[i] / (1 − p) with probability 1 − p, else 0 (Srivastava et al., "Dropout: a simple way to prevent neural
/// networks from overfitting", 2014; the scaling at training time is the usual "inverted" form). Element i is kept when
/// word i mod 4 of philox(seed, stream, i / 4, kPurposeDropout) is at least ⌊p · 2³²⌋: the mask depends on (seed,
/// stream, i) alone, so the same call on the gradient is the backward. A dropped element is 0 even where x is NaN.
struct DropoutArgs {
  const float* x;  // [n], n ≤ 2³⁴
  float* out;      // [n]
  double probability;  // in [0, 1)
  uint64_t seed, stream;
  int64_t n;
};

/// out[r] = max(0, position[0] − starts[r]): where a left-padded row stands.
struct RowPositionsArgs {
  const int32_t* starts;    // [rows]
  const int32_t* position;  // [1]
  int32_t* out;             // [rows]
  int64_t rows;
};

/// counter[0] += by, in place; past the range of int32 is an error and leaves it as it was.
struct AdvanceArgs {
  int32_t* counter;  // [1]
  int32_t by;
};

}  // namespace cfgd
