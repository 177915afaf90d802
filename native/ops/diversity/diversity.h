// The diversity of several generations per prompt, as a reward, with the advantage of each generation.
//
//   d_ij = 1 − cos(e_i, e_j), the cosine clamped to [−1, 1]; a zero vector has cosine 0 with everything
//   reward_i = mean of d_ij over j ≠ i          diversity = mean of d_ij over i < j
//   advantage_i = reward_i − b_i
//
// (Reward: arXiv 2410.06084.) (2 / N) Σ_i advantage_i ∇log p(y_i) is an unbiased estimate of the gradient of the
// expected diversity, because no baseline b_i depends on generation i:
//   baselines given   b_i = baselines[prompt]
//   samples ≥ 3       b_i = mean of d_jk over the pairs without i
//   samples = 2       b_i = mean diversity of the other prompts, 0 if there is none
//
// On the CPU products are summed in float within parts of 32 additions to each lane of a vector and in double across
// them: an error of a cosine of at most 2.3e-6 by the bound of ops/diversity/gram.h, some 1e-7 in practice, and none at
// all for equal rows. A prompt with embeddings that float32 sums could not hold (a squared length above 2¹²⁰, or below
// 2⁻⁶⁰ and not 0) is computed in double, as everything is on CUDA. Each embedding is read from memory once: measured
// (AMD EPYC with AVX2, 1 and 2 threads) at [1024, 8, 512] 0.59 and 0.65 of the speed of reading, at [8, 256, 1024] 0.49 and 0.50 of matmul's
// products a second, those of one triangle counted.
// NaN or an infinity in embeddings or baselines is an error (CFGD_VALUE).
#pragma once
#include <cstdint>

namespace cfgd {

template <class T>
struct DiversityReward {
  const T* embeddings;  // [prompts, samples, dimensions]
  const float* baselines;   // [prompts], or null
  float* reward;            // [prompts, samples]
  float* advantage;         // [prompts, samples]
  float* diversity;         // [prompts]
  int64_t prompts, samples, dimensions;  // samples ≥ 2
};
using DiversityRewardArgs = DiversityReward<float>;

}  // namespace cfgd
