#include "cuda/cublaslt.h"

#include <cstdio>
#include <new>

#include "cuda/kernel.h"
#include "cuda/report.h"

namespace cfgd {
namespace {

using namespace cublaslt;

constexpr uint64_t kWorkspace = uint64_t{32} << 20;
constexpr int64_t kBiasMemory = int64_t{1} << 20;
constexpr size_t kMostPlans = 4096;
constexpr uint32_t kFullAlignment = 16;  // no access is wider

uint32_t alignment_of(const void* address) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(address);
  uint32_t alignment = kFullAlignment;
  while (bits % alignment) alignment /= 2;
  return alignment;
}

/// The library may load kernels when it first uses them, which a stream that is being captured does not allow otherwise.
class Relaxed {
 public:
  Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  Relaxed(const Relaxed&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

int32_t CublasLt::open(CublasLt** made, cfgd_status* status) {
  const Loaded& library = loaded();
  if (*library.problem)
    return cfgd_fail(status, CFGD_DEVICE, "CFGDISTILL_CUBLASLT_LIBRARY",
                     "expected the file of a cuBLASLt library of version 12 or 13, or 'none': %s", library.problem);
  if (!library.library) return CFGD_OK;
  auto* opened = new (std::nothrow) CublasLt();
  if (!opened) return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the state of cuBLASLt");
  opened->library_ = library.library;
  if (const int32_t code = opened->prepare(status)) {
    delete opened;
    return code;
  }
  *made = opened;
  return CFGD_OK;
}

int32_t CublasLt::prepare(cfgd_status* status) {
  const Library& l = *library_;
  void* memory = nullptr;
  if (const int32_t code = cuda_check(cudaMalloc(&memory, kWorkspace + kBiasMemory), "allocating workspace", status))
    return code;
  workspace_ = static_cast<char*>(memory);
  const uint64_t most = kWorkspace;
  const uint32_t schemes = kReduceInWorkspace;
  const bool good = l.create(&handle_) == kSuccess && l.preference_create(&preference_) == kSuccess &&
                    l.preference_set(preference_, kMaxWorkspace, &most, sizeof most) == kSuccess &&
                    l.preference_set(preference_, kReductionSchemes, &schemes, sizeof schemes) == kSuccess;
  if (good) return CFGD_OK;
  return cfgd_fail(status, CFGD_DEVICE, "device",
                   "cuBLASLt %zu does not start on this device. Install one that fits the driver, or go without it "
                   "(CFGDISTILL_CUBLASLT_LIBRARY=none)",
                   l.version());
}

CublasLt::~CublasLt() {
  for (auto& [key, plan] : plans_) destroy(plan);
  if (preference_) library_->preference_destroy(preference_);
  if (handle_) library_->destroy(handle_);
  if (workspace_) cudaFree(workspace_);
}

void* CublasLt::bias_memory(int64_t bytes) const { return bytes <= kBiasMemory ? workspace_ + kWorkspace : nullptr; }

void CublasLt::destroy(Plan& plan) {
  if (plan.desc) library_->desc_destroy(plan.desc);
  for (Layout layout : {plan.a, plan.b, plan.out})
    if (layout) library_->layout_destroy(layout);
  plan = {};
}

CublasLt::Plan* CublasLt::plan_for(const Product& p) {
  const Key key = {p.m,
                   p.n,
                   p.k,
                   p.transpose_a,
                   p.transpose_b,
                   p.accumulate,
                   p.bias != nullptr,
                   p.tf32 && p.type == kFloat32,
                   p.type,
                   p.out_type,
                   alignment_of(p.a),
                   alignment_of(p.b),
                   alignment_of(p.out)};
  try {
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (plans_.size() >= kMostPlans) {
        for (auto& [old, plan] : plans_) destroy(plan);
        plans_.clear();
      }
      found = plans_.emplace(key, Plan{}).first;
      found->second.usable = make(found->second, key, p.bias);
      if (!found->second.usable) destroy(found->second);
    }
    return found->second.usable ? &found->second : nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// The library is column-major, and row-major memory read by columns is the transpose: it computes
// outᵀ [n, m] = op(b)ᵀ · op(a)ᵀ, in which b comes first, and the bias goes to the rows.
bool CublasLt::make(Plan& plan, const Key& key, const void* bias) {
  const Library& l = *library_;
  const Operation op_b = key.transpose_b ? kTransposed : kAsIs, op_a = key.transpose_a ? kTransposed : kAsIs;
  const Epilogue epilogue = key.bias ? kAddBias : kNoEpilogue;
  const int32_t bias_type = key.out_type;
  const auto set = [&](DescAttribute attribute, const auto& value) {
    return l.desc_set(plan.desc, attribute, &value, sizeof value) == kSuccess;
  };
  const auto prefer = [&](PreferenceAttribute attribute, uint32_t value) {
    return l.preference_set(preference_, attribute, &value, sizeof value) == kSuccess;
  };
  // Row-major [rows, columns] is column-major [columns, rows].
  const auto layout = [&](Layout& made, int type, int64_t rows, int64_t columns) {
    return l.layout_create(&made, type, static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), columns) == kSuccess;
  };
  Relaxed relaxed;
  if (l.desc_create(&plan.desc, key.tf32 ? kComputeTf32 : kComputeFloat32, kFloat32) != kSuccess) return false;
  if (!set(kTransposeA, op_b) || !set(kTransposeB, op_a) || !set(kEpilogue, epilogue)) return false;
  if (key.bias && (!set(kBiasType, bias_type) || !set(kBiasPointer, bias))) return false;
  if (!layout(plan.a, key.type, key.transpose_b ? key.n : key.k, key.transpose_b ? key.k : key.n) ||
      !layout(plan.b, key.type, key.transpose_a ? key.k : key.m, key.transpose_a ? key.m : key.k) ||
      !layout(plan.out, key.out_type, key.m, key.n))
    return false;
  if (!prefer(kAlignmentA, key.alignment_b) || !prefer(kAlignmentB, key.alignment_a) ||
      !prefer(kAlignmentC, key.alignment_out) || !prefer(kAlignmentD, key.alignment_out))
    return false;
  int count = 0;
  const int status = l.heuristics(handle_, plan.desc, plan.a, plan.b, plan.out, plan.out, preference_, 1, &plan.chosen, &count);
  return status == kSuccess && count > 0 && plan.chosen.state == kSuccess && plan.chosen.workspace <= kWorkspace;
}

bool CublasLt::multiply(const Product& p, cudaStream_t stream) {
  Plan* plan = plan_for(p);
  if (!plan) return false;
  if (p.bias && library_->desc_set(plan->desc, kBiasPointer, &p.bias, sizeof p.bias) != kSuccess) return false;
  const float alpha = 1, beta = p.accumulate ? 1 : 0;
  Relaxed relaxed;
  const int status = library_->matmul(handle_, plan->desc, &alpha, p.b, plan->a, p.a, plan->b, &beta, p.out, plan->out,
                                      p.out, plan->out, &plan->chosen.algorithm, workspace_, kWorkspace, stream);
  if (status == kSuccess) return true;
  destroy(*plan);      // not tried again
  cudaGetLastError();  // the kernel that is launched instead is not to blame
  return false;
}

void describe_cublaslt(char* text, uint32_t bytes) {
  if (bytes) *text = 0;
  const Loaded& library = loaded();
  if (*library.problem) {
    std::snprintf(text, bytes, "not usable: %s", library.problem);
  } else if (library.library) {
    const size_t version = library.library->version();  // 10000 · major + 100 · minor + patch
    std::snprintf(text, bytes, "%zu.%zu.%zu (%s)", version / 10000, version / 100 % 100, version % 100, library.name);
  }
}

}  // namespace cfgd
