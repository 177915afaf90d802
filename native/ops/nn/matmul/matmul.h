// Matrix product in float32.
//
//   out[i, j] = base[i, j] + Σ_k op(a)[i, k] · op(b)[k, j],   base = (into ? into[i, j] : 0) + (bias ? bias[j] : 0)
//
// op is the identity or the transpose. On the CPU every element is computed in the same order whatever m, n, the
// transpositions, the number of threads and where the element lies: k is cut into blocks of 256, each block is one chain
// of multiply-adds from 0, and the blocks are added to the base one after the other. So a row of the result does not
// depend on the other rows of the batch, and the rounding error grows with 256 + k / 256 rather than with k. On CUDA the
// order is fixed by the shapes, the types and the alignment of the operands.
//
// The blocking of the CPU follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (ACM TOMS 34, 2008):
// a panel of b stays in the first-level cache, a block of a in the second, a tile of the result in registers.
//
// Infinities and NaN follow IEEE arithmetic. k = 0 gives the base.
#pragma once
#include <cstdint>

namespace cfgd {

/// bfloat16 operands are multiplied and summed in float32, and the result is rounded once, unless `float_out`. (CUDA may
/// round the bias of a bfloat16 result to bfloat16 first.)
template <class T>
struct Matmul {
  const T* a;         // [m, k], or [k, m] with transpose_a
  const T* b;         // [k, n], or [n, k] with transpose_b
  const float* bias;  // [n], or null
  void* out;          // [m, n], of type T, or float32 with float_out; overlaps none of the inputs
  int64_t m, n, k;
  int32_t transpose_a, transpose_b;
  int32_t accumulate;  // 1: out holds `into`
  int32_t float_out;
};
using MatmulArgs = Matmul<float>;

}  // namespace cfgd
