// Operations on every element, and the sums and counters a model needs beside its layers.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace cfgd {

/// out[i] = the 32 bits of the value, for float32 and int32 alike; T is uint32_t for both. For bf16 they are those of a
/// float32, which is rounded.
template <class T>
struct Fill {
  T* out;  // [n]
  uint32_t bits;
  int64_t n;
};
using FillArgs = Fill<uint32_t>;

/// out = a + b
template <class T>
struct Add {
  const T* a;  // [n]
  const T* b;  // [n]
  T* out;      // [n]
  int64_t n;
};
using AddArgs = Add<float>;

/// target += source · factor, in place. The two may be the same memory, not overlap in part.
template <class T>
struct Accumulate {
  T* target;        // [n]
  const T* source;  // [n]
  float factor;
  int64_t n;
};
using AccumulateArgs = Accumulate<float>;

/// out = x · factor
template <class T>
struct Scale {
  const T* x;  // [n]
  T* out;      // [n]
  float factor;
  int64_t n;
};
using ScaleArgs = Scale<float>;

/// out[j] = Σ_r x[r, j]; float where at most 256 are added in turn, double across. No rows: 0.
template <class T>
struct SumRows {
  const T* x;       // [rows, n]
  float* out;       // [n]
  float* partials;  // on CUDA [sum_rows_chunks(), n] of workspace.h when these are more than one; else not read
  int64_t rows, n;
};
using SumRowsArgs = SumRows<float>;

/// out[0] = Σ x; float where at most 512 are added in turn, double across. No elements: 0.
struct SumAllArgs {
  const float* x;    // [n]
  float* out;        // [1]
  double* partials;  // on CUDA [sum_all_chunks()] of workspace.h when these are more than one; else not read
  int64_t n;
};

/// out[r · times + t] = x[r]: each row `times` times in a row. T is uint32_t, for any 4-byte type, or bf16.
template <class T>
struct RepeatRows {
  const T* x;  // [rows, n]
  T* out;      // [rows · times, n]
  int64_t rows, n, times;
};
using RepeatRowsArgs = RepeatRows<uint32_t>;

/// out[i] = x[i] / (1 − p) with probability 1 − p, else 0 (Srivastava et al., "Dropout: a simple way to prevent neural
/// networks from overfitting", 2014; the scaling at training time is the usual "inverted" form). Element i is kept when
/// word i mod 4 of philox(seed, stream, i / 4, kPurposeDropout) is at least ⌊p · 2³²⌋: the mask depends on (seed,
/// stream, i) alone, so the same call on the gradient is the backward. A dropped element is 0 even where x is NaN.
template <class T>
struct Dropout {
  const T* x;  // [n], n ≤ 2³⁴
  T* out;      // [n]
  double probability;  // in [0, 1)
  uint64_t seed, stream;
  int64_t n;
};
using DropoutArgs = Dropout<float>;

/// out[i] = x[i] as another type, rounded to the nearest, ties to even; beyond the type's range it becomes an infinity.
struct CastArgs {
  const void* x;   // [n] of type `from`
  void* out;       // [n] of type `to`
  DType from, to;  // float32, float16 or bfloat16
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
