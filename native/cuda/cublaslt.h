// Matrix products by cuBLASLt, where it is loaded: one object per device. Host code.
//
// Products are deterministic: the algorithm depends on the shapes, the types and the alignment alone, and none adds up
// in an order that varies. They can be captured into a graph. Unlike our kernels they also run after a launch that has
// failed; what they make of its remains is poisoned like everything that was launched since (tensor/device.h).
#pragma once
#include <cuda_runtime.h>

#include <compare>
#include <cstdint>
#include <map>

#include "cuda/cublaslt_library.h"
#include "tensor/backend.h"

namespace cfgd {

/// out [m, n] = (accumulate ? out : 0) + op(a) · op(b) + bias, row-major. Sums are float32. No size is 0.
struct Product {
  const void* a;
  const void* b;
  const void* bias;  // [n], of the type of `out`, aligned to 16 bytes; or null
  void* out;
  int64_t m, n, k;
  bool transpose_a, transpose_b, accumulate;
  cublaslt::Type type, out_type;  // of a and b; of out
  bool tf32;
};

class CublasLt {
 public:
  /// For the current device; null when the library is not there. Fails when one was asked for that cannot be used.
  static int32_t open(CublasLt** made, cfgd_status* status);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;

  /// Whether the library has an algorithm for the product.
  bool takes(const Product& product) { return plan_for(product) != nullptr; }
  /// Enqueues the product. False when the library refuses it: nothing has then been enqueued.
  bool multiply(const Product& product, cudaStream_t stream);

  /// Device memory for a bias in another type, used in stream order; null for more than it holds.
  void* bias_memory(int64_t bytes) const;

 private:
  /// What an algorithm is chosen for.
  struct Key {
    int64_t m, n, k;
    int transpose_a, transpose_b, accumulate, bias, tf32, type, out_type;
    uint32_t alignment_a, alignment_b, alignment_out;  // up to 16 bytes
    auto operator<=>(const Key&) const = default;
  };
  struct Plan {
    bool usable = false;
    cublaslt::Desc desc = nullptr;
    cublaslt::Layout a = nullptr, b = nullptr, out = nullptr;  // the library's a is our b
    cublaslt::Heuristic chosen = {};
  };

  CublasLt() = default;
  int32_t prepare(cfgd_status* status);
  Plan* plan_for(const Product& product);
  bool make(Plan& plan, const Key& key, const void* bias);
  void destroy(Plan& plan);

  const cublaslt::Library* library_ = nullptr;
  cublaslt::Handle handle_ = nullptr;
  cublaslt::Preference preference_ = nullptr;
  char* workspace_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace cfgd
