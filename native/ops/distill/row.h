// One row of the distillation loss, up to its sums. Included only from per-ISA files (see cpu/kernel.h). Formulas:
// distill.h.
//
// The row is read from memory once, in blocks that stay in the first-level cache: a block's branches are combined and
// its largest logits found, then the exponentials relative to the largest so far are summed and kept. What the gradient
// needs of each token stays in scratch memory, which for common vocabularies is the second-level cache, until the row's
// sums are known (gradient.h). A block without −∞ and without extreme numbers, nearly every one, takes no account of
// either.
#pragma once
#include "cpu/exp.h"
#include "cpu/log.h"
#include "cpu/prefetch.h"
#include "cpu/scratch.h"
#include "ops/distill/distill.h"
#include "ops/guidance/combine.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kBlock = 128 * kLanes;
/// Tokens that are summed in float before they go into a double.
constexpr int64_t kPart = 64 * kLanes;

struct Yes {
  static constexpr bool value = true;
};
struct No {
  static constexpr bool value = false;
};

/// The largest logits so far, or at some block: what the exponentials there are relative to. −∞: no support yet.
struct Largest {
  float student = -INFINITY, teacher = -INFINITY;
};

/// Σ over the support, relative to the largest logits, with d = logit − largest.
struct RowSums {
  double student = 0, teacher = 0;  // Σ e^(d/T) of each
  double moment = 0;                // Σ e^(d/T) d of the student
  double difference = 0;            // Σ e^(d/T) (d student − d teacher), by the student's e (reverse) or the teacher's
};

template <class T>
struct DistillRow {
  const T *student, *cond, *uncond;  // [vocab]
  int64_t vocab;
  Guidance guidance;
  float temperature;

  // Scratch: [blocks] the largest logits when the block was summed, and [vocab], padded to whole vectors.
  Largest* largest_of;
  float *own, *other, *difference;  // e^(d/T) of the student and (not reverse) the teacher, d student − d teacher

  float scale;     // log₂ e / T
  double inverse;  // what that makes of 1 / T
  bool plain;      // blocks may do without masks
  Largest largest;
  RowSums sums;

  static int64_t blocks_of(int64_t vocab) { return (vocab + kBlock - 1) / kBlock; }

  void set_temperature(float value) {
    temperature = value;
    const double exact = 1.4426950408889634 / static_cast<double>(value);
    scale = exact < 3e38 ? static_cast<float>(exact) : 3e38f;
    inverse = static_cast<double>(scale) * 0.6931471805599453;
    plain = value > 1e-6f && value < 1e6f && (!guidance.guided || (guidance.scale != 0 && guidance.scale != 1));
  }

  void use(Scratch& scratch) {
    const int64_t width = (vocab + kLanes - 1) / kLanes * kLanes, blocks = (blocks_of(vocab) + 15) / 16 * 16;
    own = scratch.get<float>(3 * width + 2 * blocks);
    other = own + width, difference = other + width;
    largest_of = reinterpret_cast<Largest*>(difference + width);
  }

  /// Reads the row. What is wrong with it is returned.
  template <Divergence kind>
  Flaw read() {
    for (int64_t b = 0, begin = 0; begin < vocab; b++, begin += kBlock) {
      const int64_t end = begin + kBlock < vocab ? begin + kBlock : vocab;
      float guided[kBlock];
      Largest here;
      const bool masked = !plain || !combine_plain(begin, end, guided, here);
      if (masked && !combine_masked(begin, end, guided, here)) return flaw(begin, end);
      raise<kind>(here);
      largest_of[b] = largest;
      if (masked)
        sum<kind, true>(begin, end, guided);
      else
        sum<kind, false>(begin, end, guided);
    }
    if (largest.student == -INFINITY)
      return {"student", "a token that is finite in student, cond and uncond", -1, 0, "none"};
    return {};
  }

  /// The inputs `elements` behind this row's first ones: of the row itself or of the next.
  Ahead<3> ahead(int64_t elements) const {
    return Ahead<3>::behind<T>({student, cond, guidance.guided ? uncond : cond}, elements);
  }

  bool supports(int64_t token) const {
    IVec bad = {};
    const float u = guidance.guided ? widened(uncond[token]) : 0.0f;
    const Vec mixed = guidance(broadcast(widened(cond[token])), broadcast(u), bad);
    return widened(student[token]) > -INFINITY && mixed[0] > -INFINITY;
  }

 private:
  /// What padding reads as: far below anything that counts, but neither infinite nor out of range for `combine_plain`.
  static constexpr float kFar = -1e29f;

  /// Combines a block. False if it holds an infinity, a NaN or a number of 3e30 or more; such a block must be masked.
  bool combine_plain(int64_t begin, int64_t end, float* guided, Largest& here) const {
    constexpr float kLimit = 1e8f;  // times 3e30 is beyond float32
    Vec largest_z = broadcast(-INFINITY), largest_g = largest_z, beyond_z = {}, beyond_g = {};
    // In registers: what the loop stores might else be these members.
    const T *const from_student = student, *const from_cond = cond, *const from_uncond = uncond;
    const float s = guidance.scale;
    const auto take = [&](auto is_guided) {
      for_each_vector(begin, end, [&](int64_t i, auto io) {
        const Vec z = io.load(from_student + i, kFar), c = io.load(from_cond + i, kFar);
        Vec g = c;
        if (is_guided.value) {
          const Vec u = io.load(from_uncond + i, kFar);
          g = u + s * (c - u);
        }
        largest_z = max(z, largest_z), largest_g = max(g, largest_g);
        beyond_z += z * kLimit, beyond_g += g * kLimit;
        store(guided + (i - begin), g);
      });
    };
    if (guidance.guided)
      take(Yes{});
    else
      take(No{});
    const Vec beyond = beyond_z * 0.0f + beyond_g * 0.0f;  // 0, or NaN
    if (any(beyond != beyond)) return false;
    here = {reduce_max(largest_z), reduce_max(largest_g)};
    return true;
  }

  /// Combines a block, −∞ outside the support. False if there is something wrong with it.
  bool combine_masked(int64_t begin, int64_t end, float* guided, Largest& here) const {
    const Vec infinity = broadcast(INFINITY);
    Vec largest_z = -infinity, largest_g = -infinity;
    IVec bad = {};
    for_each_vector(begin, end, [&](int64_t i, auto io) {
      const Vec z = io.load(student + i, -INFINITY);
      const Vec mixed = guidance(io.load(cond + i, 0), guidance.guided ? io.load(uncond + i, 0) : Vec{}, bad);
      bad |= ~(z < infinity);
      const Vec g = z == -infinity ? -infinity : mixed;
      largest_g = max(g, largest_g);
      largest_z = max(g == -infinity ? -infinity : z, largest_z);
      store(guided + (i - begin), g);
    });
    here = {reduce_max(largest_z), reduce_max(largest_g)};
    return !any(bad);
  }

  Flaw flaw(int64_t begin, int64_t end) const {
    for (int64_t t = begin; t < end; t++) {
      const float z = widened(student[t]), c = widened(cond[t]), u = guidance.guided ? widened(uncond[t]) : 0.0f;
      if (!(z < INFINITY)) return {"student", "a finite logit or -Infinity", t, z};
      if (Flaw found = guidance.flaw(&c, &u, 0, 1)) {
        found.column = t;
        return found;
      }
    }
    return {};
  }

  /// Makes the sums relative to larger logits.
  template <Divergence kind>
  void raise(const Largest& here) {
    if (!(here.student > largest.student || here.teacher > largest.teacher)) return;
    const Largest next{here.student > largest.student ? here.student : largest.student,
                       here.teacher > largest.teacher ? here.teacher : largest.teacher};
    if (largest.student > -INFINITY) {
      const double z = static_cast<double>(next.student) - largest.student;
      const double g = static_cast<double>(next.teacher) - largest.teacher;
      const double lower_z = std::exp(-z * inverse), lower_g = std::exp(-g * inverse);
      sums.difference += (g - z) * (kind == Divergence::reverse ? sums.student : sums.teacher);
      sums.difference *= kind == Divergence::reverse ? lower_z : lower_g;
      sums.moment = lower_z * (sums.moment - z * sums.student);
      sums.student *= lower_z;
      sums.teacher *= lower_g;
    }
    largest = next;
  }

  template <Divergence kind, bool masked>
  void sum(int64_t begin, int64_t end, const float* guided) {
    const bool none = largest.student == -INFINITY;  // then every token is masked
    const float z_top = none ? 0 : largest.student, g_top = none ? 0 : largest.teacher;
    // Scaled by 1 / T the lowest difference is still a number, and its exponential 0.
    const T* const from = student;
    float* const to_own = own;
    float* const to = kind == Divergence::forward ? other : difference;
    float* const to_other = other;
    const float factor = scale, lowest = temperature < 1e8f ? -1e30f * temperature : -3e38f;
    const Ahead<3> next = ahead(kBlock);
    for (int64_t at = begin; at < end; at += kPart) {
      const int64_t stop = at + kPart < end ? at + kPart : end;
      Vec total[4] = {};
      const auto take = [&](int64_t i, auto io) {
        const Vec g = load(guided + (i - begin));
        Vec z = io.load(from + i, kFar) - z_top, q = g - g_top;
        Vec ez, eg;
        if (masked) {
          const IVec outside = g == -INFINITY;
          z = outside ? Vec{} : max(z, broadcast(lowest));
          q = outside ? Vec{} : max(q, broadcast(lowest));
          ez = outside ? Vec{} : exp_scaled(z, factor);
          eg = outside ? Vec{} : exp_scaled(q, factor);
        } else {
          ez = exp_scaled(z, factor);
          eg = exp_scaled(q, factor);
        }
        const Vec apart = z - q;
        total[0] += ez;
        total[1] += eg;
        total[2] += ez * z;
        if (kind != Divergence::jsd) total[3] += (kind == Divergence::reverse ? ez : eg) * apart;
        store(to_own + i, ez);
        store(to + i, kind == Divergence::forward ? eg : apart);
        if (kind == Divergence::jsd) store(to_other + i, eg);
      };
      int64_t line = at;
      for (; line + kOfLine<T> <= stop; line += kOfLine<T>) {
        next.fetch(line, line + kOfLine<T>);
        for (int64_t i = line; i < line + kOfLine<T>; i += kLanes) take(i, Whole{});
      }
      for_each_vector(line, stop, take);
      sums.student += reduce_add(total[0]);
      sums.teacher += reduce_add(total[1]);
      sums.moment += reduce_add(total[2]);
      sums.difference += reduce_add(total[3]);
    }
  }
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
