#include "ops/diversity/diversity.h"

#include "cpu/fault.h"
#include "cpu/kernel.h"
#include "cpu/rows.h"
#include "cpu/scratch.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kProductsPerChunk = 32768;  // some 20 µs of work

typedef double Wide __attribute__((vector_size(kLanes * 8)));

/// The scalar product in double; products of floats are exact there and cannot overflow.
double product(const float* a, const float* b, int64_t n) {
  Wide sum = {};
  for_each_vector(0, n, [&](int64_t i, auto io) {
    sum += __builtin_convertvector(io.load(a + i, 0), Wide) * __builtin_convertvector(io.load(b + i, 0), Wide);
  });
  double total = 0;
  for (int k = 0; k < kLanes; k++) total += sum[k];
  return total;
}

/// 1 − cos, from the scalar product and the squared lengths.
double distance(double product, double square_a, double square_b) {
  if (square_a == 0 || square_b == 0) return 1;
  const double cosine = product / std::sqrt(square_a * square_b);
  return 1 - (cosine > 1 ? 1 : cosine < -1 ? -1 : cosine);
}

/// The sums of one prompt: of its distances, and of those of each sample.
void sum_distances(const float* embeddings, int64_t samples, int64_t dimensions, double* squares, double* of_sample,
                   double& all) {
  for (int64_t i = 0; i < samples; i++) {
    const float* e = embeddings + i * dimensions;
    squares[i] = product(e, e, dimensions);
    of_sample[i] = 0;
  }
  all = 0;
  for (int64_t i = 0; i < samples; i++)
    for (int64_t j = i + 1; j < samples; j++) {
      const double dot = product(embeddings + i * dimensions, embeddings + j * dimensions, dimensions);
      const double d = distance(dot, squares[i], squares[j]);
      of_sample[i] += d;
      of_sample[j] += d;
      all += d;
    }
}

Flaw flaw_of(const float* values, int64_t n, const char* argument, bool with_column) {
  for (int64_t i = 0; i < n; i++)
    if (values[i] - values[i] != 0) return {argument, "a finite number", with_column ? i : -1, values[i]};
  return {};
}

int32_t diversity_reward(const DiversityRewardArgs& a, const Parallel& parallel, cfgd_status* status) {
  const int64_t samples = a.samples, pairs = samples * (samples - 1) / 2;
  const int64_t work = samples * (samples + 1) / 2 * (a.dimensions + 8);
  Fault fault;
  parallel(a.prompts, kProductsPerChunk / work + 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    double* squares = scratch.get<double>(2 * samples);
    double* of_sample = squares + samples;
    for (int64_t p = begin; p < end; p++) {
      const float* embeddings = a.embeddings + p * samples * a.dimensions;
      if (a.baselines)
        if (const Flaw flaw = flaw_of(a.baselines + p, 1, "baselines", false)) fault.note(p, flaw);
      double all;
      sum_distances(embeddings, samples, a.dimensions, squares, of_sample, all);
      for (int64_t i = 0; i < samples; i++) {
        if (squares[i] - squares[i] != 0)
          // Rows of the report are samples, counted over all prompts.
          fault.note(p * samples + i, flaw_of(embeddings + i * a.dimensions, a.dimensions, "embeddings", true));
        const double reward = of_sample[i] / static_cast<double>(samples - 1);
        double baseline = 0;
        if (a.baselines)
          baseline = a.baselines[p];
        else if (samples > 2)
          baseline = (all - of_sample[i]) / static_cast<double>(pairs - (samples - 1));
        a.reward[p * samples + i] = static_cast<float>(reward);
        a.advantage[p * samples + i] = static_cast<float>(reward - baseline);
      }
      a.diversity[p] = static_cast<float>(all / static_cast<double>(pairs));
    }
  });
  if (samples == 2 && !a.baselines && a.prompts > 1) {
    double total = 0;
    for (int64_t p = 0; p < a.prompts; p++) total += a.diversity[p];
    for (int64_t i = 0; i < 2 * a.prompts; i++)
      a.advantage[i] = static_cast<float>(a.reward[i] - (total - a.diversity[i / 2]) / static_cast<double>(a.prompts - 1));
  }
  return fault.report(status);
}

}  // namespace

void register_diversity(CpuTable& table) { set<DiversityRewardArgs, diversity_reward>(table, Op::diversity_reward); }

}  // namespace cfgd::CFGD_ISA
