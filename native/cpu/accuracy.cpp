#include "cpu/accuracy.h"

#include "cpu/exp.h"
#include "cpu/exp_negative.h"
#include "cpu/log.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr double kSmallestNormal = 0x1p-126, kBeyond = 0x1.ffffffp127;

/// A unit in the last place of a normal float32 next to `value`.
double unit_at(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint64_t unit = (bits & 0x7ff0000000000000) - (uint64_t{23} << 52);
  double result;
  std::memcpy(&result, &unit, sizeof result);
  return result;
}

// Each function with its exact values, and what must come out where they are no normal numbers.

struct Exp {
  static Vec vector(Vec x) { return exp(x); }
  static double exact(float x) { return std::exp(static_cast<double>(x)); }
  static bool is_right(float, double exact, float got) {
    return exact != exact ? got != got : exact >= kBeyond ? got == INFINITY : got == 0;
  }
};

/// As a function of the product; what is above 127 is outside its contract.
struct ExpScaled {
  static Vec vector(Vec x) { return exp_scaled(x, 1); }
  static double exact(float x) { return x > 127 ? 0 : std::exp2(static_cast<double>(x)); }
  static bool is_right(float x, double, float got) {
    return x > 127 || (x > -127 ? got >= 0 && got <= kSmallestNormal : got == 0);
  }
};

/// What is above 0.1 is outside its contract.
struct ExpNegative {
  static Vec vector(Vec x) { return exp_negative(x); }
  static double exact(float x) { return x > 0.1f || x < -87.0f ? 0 : std::exp(static_cast<double>(x)); }
  static bool is_right(float x, double exact, float got) { return x > 0.1f || (exact != exact ? got != got : got == 0); }
};

struct Log {
  static Vec vector(Vec x) { return log(x); }
  static double exact(float x) { return std::log(static_cast<double>(x)); }
  static bool is_right(float, double exact, float got) { return exact != exact ? got != got : got == exact; }
};

template <class Function>
Accuracy measure(uint32_t first, uint32_t step, int64_t count) {
  Accuracy found;
  for (int64_t i = 0; i < count; i += kLanes) {
    IVec bits;
    for (int k = 0; k < kLanes; k++) bits[k] = static_cast<int32_t>(first + static_cast<uint32_t>(i + k) * step);
    const Vec x = as_float(bits), y = Function::vector(x);
    for (int k = 0; k < kLanes && i + k < count; k++) {
      const float at = x[k], got = y[k];
      const double exact = Function::exact(at), size = std::fabs(exact);
      if (!(size >= kSmallestNormal && size < kBeyond) || got - got != 0) {
        if (!(size >= kSmallestNormal && size < kBeyond) && Function::is_right(at, exact, got)) continue;
        if (!found.wrong++) found.wrong_at = at;
        continue;
      }
      const double ulps = std::fabs(got - exact) / unit_at(exact);
      if (ulps > found.ulps) found.ulps = ulps, found.at = at;
    }
  }
  return found;
}

}  // namespace

Accuracy measure_accuracy(MathFunction function, uint32_t first, uint32_t step, int64_t count, const Parallel& parallel) {
  constexpr int64_t kParts = 64;
  Accuracy parts[kParts], all;
  const int64_t part = (count / kParts + kLanes) / kLanes * kLanes;
  parallel(count, part, [&](int64_t begin, int64_t end) {
    const uint32_t from = first + static_cast<uint32_t>(begin) * step;
    Accuracy& found = parts[begin / part];
    switch (function) {
      case MathFunction::exp: found = measure<Exp>(from, step, end - begin); break;
      case MathFunction::exp_scaled: found = measure<ExpScaled>(from, step, end - begin); break;
      case MathFunction::exp_negative: found = measure<ExpNegative>(from, step, end - begin); break;
      default: found = measure<Log>(from, step, end - begin);
    }
  });
  for (const Accuracy& found : parts) {
    if (found.ulps > all.ulps) all.ulps = found.ulps, all.at = found.at;
    if (!all.wrong) all.wrong_at = found.wrong_at;
    all.wrong += found.wrong;
  }
  return all;
}

}  // namespace cfgd::CFGD_ISA
