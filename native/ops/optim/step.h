// The arithmetic of one AdamW step (optim.h), for every device.
#pragma once
#include <math.h>

#include "ops/optim/optim.h"
#include "tensor/element.h"

namespace cfgd {
namespace {  // sources that are compiled for several instruction sets include this

constexpr float kLastScheduledStep = 16777216;  // the last whole number whose successors float32 holds, too

CFGD_ANYWHERE inline bool valid_norm(float norm) { return norm >= 0 && norm < INFINITY; }
CFGD_ANYWHERE inline bool valid_learning_rate(float rate) { return rate >= 0 && rate < INFINITY; }
CFGD_ANYWHERE inline bool valid_step(float step) {
  return step >= 1 && step <= kLastScheduledStep && step == floorf(step);
}

/// The constants of a step, in double and rounded once. Norm and schedule, where there are any, are valid.
CFGD_ANYWHERE inline AdamWStep step_of(const AdamWArgs& a) {
  const double rate = a.schedule ? static_cast<double>(a.schedule[0]) : a.learning_rate;
  const double t = a.schedule ? static_cast<double>(a.schedule[1]) : static_cast<double>(a.step);
  const double norm = a.norm ? static_cast<double>(*a.norm) : 0;
  const double clip = norm > a.max_norm ? a.max_norm / norm : 1;
  return {rate,
          static_cast<float>(clip),
          static_cast<float>(a.beta1),
          static_cast<float>(1 - a.beta1),
          static_cast<float>(a.beta2),
          static_cast<float>(1 - a.beta2),
          static_cast<float>(rate / (1 - pow(a.beta1, t))),
          static_cast<float>(1 / sqrt(1 - pow(a.beta2, t))),
          static_cast<float>(a.epsilon)};
}

/// What a tensor's parameters are multiplied by.
CFGD_ANYWHERE inline float keep_of(const AdamWStep& s, double weight_decay) {
  return static_cast<float>(1 - s.learning_rate * weight_decay);
}

/// One element.
CFGD_ANYWHERE inline void update_element(const AdamWStep& s, float keep, float gradient, float& parameter, float& first,
                                         float& second) {
  const float g = gradient * s.clip;
  first = s.beta1 * first + s.rest1 * g;
  second = s.beta2 * second + s.rest2 * g * g;
  parameter = parameter * keep - s.step_size * first / (sqrtf(second) * s.inverse_root + s.epsilon);
}

}  // namespace
}  // namespace cfgd
