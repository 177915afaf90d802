// The first fault in the data of a parallel loop. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include <cstdint>
#include <cstdio>

#include "tensor/backend.h"

namespace cfgd::CFGD_ISA {
namespace {

/// What is wrong with a row. An empty `argument`: nothing.
struct Flaw {
  const char* argument = "";
  const char* expected = "";
  int64_t column = -1;        // −1: the row has one value
  double value = 0;           // what came
  const char* got = nullptr;  // what came, where it is no number
  explicit operator bool() const { return argument[0] != 0; }
};

/// Rows run in any order and on any thread, but the lowest faulty row is the one reported.
class Fault {
 public:
  void note(int64_t row, const Flaw& flaw) {
    while (__atomic_test_and_set(&lock_, __ATOMIC_ACQUIRE)) {
    }
    if (row < row_) {
      row_ = row;
      flaw_ = flaw;
    }
    __atomic_clear(&lock_, __ATOMIC_RELEASE);
  }

  int32_t report(cfgd_status* status) const {
    if (!flaw_) return CFGD_OK;
    char place[48], value[32];
    if (flaw_.column < 0)
      std::snprintf(place, sizeof place, "in row %lld", static_cast<long long>(row_));
    else
      std::snprintf(place, sizeof place, "at [%lld, %lld]", static_cast<long long>(row_),
                    static_cast<long long>(flaw_.column));
    if (flaw_.value != flaw_.value)
      std::snprintf(value, sizeof value, "NaN");
    else if (flaw_.value - flaw_.value != 0)
      std::snprintf(value, sizeof value, flaw_.value > 0 ? "Infinity" : "-Infinity");
    else
      std::snprintf(value, sizeof value, "%.9g", flaw_.value);
    return cfgd_fail(status, CFGD_VALUE, flaw_.argument, "expected %s %s, got %s", flaw_.expected, place,
                     flaw_.got ? flaw_.got : value);
  }

 private:
  bool lock_ = false;
  int64_t row_ = INT64_MAX;
  Flaw flaw_;
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
