// What can be wrong with the data of the guidance operations, as the numbers that kernels report (cuda/fault.h), and
// the words for them: the same as those of the CPU.
#pragma once
#include <cstdint>
#include <cstdio>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// The value that came is part of the number. Row and item of the site are row and token unless said otherwise.
enum GuidanceFault : int {
  kNoSupport,
  kCondNaN,
  kCondInfinity,
  kUncondNaN,
  kUncondInfinity,
  kGuidedNaN,  // a guided logit that float32 does not hold
  kGuidedInfinity,
  kGuidedMinusInfinity,
  kScaleNaN,
  kScaleInfinity,
  kScaleMinusInfinity,
  kNegativeCounter,   // item: −1 − counter
  kPosition,          // row: the capacity; item: the position
  kNegativePosition,  // row: the capacity; item: −1 − position
  kState,             // item: the state
  kNegativeState,     // item: −1 − state
  kGuidanceFaults
};
static_assert(kGuidanceFaults <= 1 << kFaultKindBits);

inline int32_t explain_guidance(const FaultSite& site, cfgd_status* status) {
  constexpr const char *kNaN = "NaN", *kPlus = "Infinity", *kMinus = "-Infinity";
  constexpr const char *kLogit = "a finite logit or -Infinity", *kGuided = "guided logits within float32",
                       *kScale = "a finite number";
  constexpr struct {
    const char *argument, *expected, *got;
    bool at_token;
  } kWords[] = {
      {"cond", "at least one token with finite logits", "none", false},
      {"cond", kLogit, kNaN, true},
      {"cond", kLogit, kPlus, true},
      {"uncond", kLogit, kNaN, true},
      {"uncond", kLogit, kPlus, true},
      {"scale", kGuided, kNaN, true},
      {"scale", kGuided, kPlus, true},
      {"scale", kGuided, kMinus, true},
      {"scale", kScale, kNaN, false},
      {"scale", kScale, kPlus, false},
      {"scale", kScale, kMinus, false},
  };
  const long long row = site.row, item = site.item;
  if (site.kind == kPosition || site.kind == kNegativePosition)
    return cfgd_fail(status, CFGD_VALUE, "position", "expected a position in the history's capacity of %lld, got %lld",
                     row, site.kind == kPosition ? item : -1 - item);
  if (site.kind == kNegativeCounter)
    return cfgd_fail(status, CFGD_VALUE, "offset", "expected a counter of at least 0 in row %lld, got %.9g", row,
                     static_cast<double>(-1 - item));
  if (site.kind == kState || site.kind == kNegativeState)
    return cfgd_fail(status, CFGD_VALUE, "state", "expected a state of the automaton in row %lld, got %.9g", row,
                     static_cast<double>(site.kind == kState ? item : -1 - item));
  const auto& words = kWords[site.kind];
  char place[48];
  if (words.at_token)
    std::snprintf(place, sizeof place, "at [%lld, %lld]", row, item);
  else
    std::snprintf(place, sizeof place, "in row %lld", row);
  return cfgd_fail(status, CFGD_VALUE, words.argument, "expected %s %s, got %s", words.expected, place, words.got);
}

}  // namespace cfgd
