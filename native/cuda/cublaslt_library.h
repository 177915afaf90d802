// cuBLASLt, NVIDIA's library of matrix products, as loaded at run time: the part of its C interface that is used here,
// declared from NVIDIA's documentation. The same for versions 12 and 13. Host code.
//
// CFGDISTILL_CUBLASLT_LIBRARY names the file to load, or is 'none'; otherwise it is looked for where the system's
// libraries are.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace cfgd::cublaslt {

// Values of cublasStatus_t, cudaDataType_t, cublasComputeType_t, cublasOperation_t, cublasLtEpilogue_t and
// cublasLtReductionScheme_t.
constexpr int kSuccess = 0;
enum Type : int { kFloat32 = 0, kBfloat16 = 14 };
enum Compute : int { kComputeFloat32 = 68, kComputeTf32 = 77 };
enum Operation : int32_t { kAsIs = 0, kTransposed = 1 };
enum Epilogue : uint32_t { kNoEpilogue = 1, kAddBias = 4 };
/// Partial sums are kept in the compute type, in the workspace, and added up afterwards in a fixed order. (No splitting
/// of k at all is always allowed.)
constexpr uint32_t kReduceInWorkspace = 2;

// Attributes of cublasLtMatmulDesc_t and cublasLtMatmulPreference_t.
enum DescAttribute : int { kTransposeA = 3, kTransposeB = 4, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26 };
enum PreferenceAttribute : int {
  kMaxWorkspace = 1,
  kReductionSchemes = 3,
  kAlignmentA = 5,
  kAlignmentB = 6,
  kAlignmentC = 7,
  kAlignmentD = 8
};

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;  // bytes
  int state;         // kSuccess: usable
  float waves;
  int reserved[4];
};

using Handle = struct cublasLtContext*;
using Desc = struct cublasLtMatmulDescOpaque_t*;
using Layout = struct cublasLtMatrixLayoutOpaque_t*;
using Preference = struct cublasLtMatmulPreferenceOpaque_t*;

struct Library {
  size_t (*version)();
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*desc_create)(Desc*, int compute, int scale_type);
  int (*desc_destroy)(Desc);
  int (*desc_set)(Desc, int attribute, const void* value, size_t bytes);
  int (*layout_create)(Layout*, int type, uint64_t rows, uint64_t columns, int64_t leading_dimension);
  int (*layout_destroy)(Layout);
  int (*preference_create)(Preference*);
  int (*preference_destroy)(Preference);
  int (*preference_set)(Preference, int attribute, const void* value, size_t bytes);
  int (*heuristics)(Handle, Desc, Layout a, Layout b, Layout c, Layout d, Preference, int wanted, Heuristic* results,
                    int* count);
  /// d = alpha · op(a) · op(b) + beta · c, column-major.
  int (*matmul)(Handle, Desc, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta,
                const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace, size_t workspace_bytes,
                cudaStream_t);
};

struct Loaded {
  const Library* library = nullptr;  // null: not there, or not wanted
  char name[256] = "";               // by which it was found
  char problem[256] = "";            // what is wrong with the library that was asked for by name
};

/// Loads the library once per process.
const Loaded& loaded();

}  // namespace cfgd::cublaslt
