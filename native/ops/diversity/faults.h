// What can be wrong with the data of the diversity reward, as the numbers that kernels report (cuda/fault.h), and the
// words for them: the same as those of the CPU.
#pragma once
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// The value that came is part of the number. Row of the site: the prompt, or the sample counted over all prompts; item:
/// the dimension.
enum DiversityFault : int { kBaselineNaN, kBaselineInfinity, kBaselineMinusInfinity, kEmbeddingNaN };

inline int32_t explain_diversity(const FaultSite& site, cfgd_status* status) {
  constexpr const char* kValues[] = {"NaN", "Infinity", "-Infinity"};
  const long long row = site.row, item = site.item;
  if (site.kind < kEmbeddingNaN)
    return cfgd_fail(status, CFGD_VALUE, "baselines", "expected a finite number in row %lld, got %s", row,
                     kValues[site.kind]);
  return cfgd_fail(status, CFGD_VALUE, "embeddings", "expected a finite number at [%lld, %lld], got %s", row, item,
                   kValues[site.kind - kEmbeddingNaN]);
}

}  // namespace cfgd
