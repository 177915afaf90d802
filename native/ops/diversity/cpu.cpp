#include "ops/diversity/diversity.h"

#include "cpu/fault.h"
#include "cpu/kernel.h"
#include "cpu/rows.h"
#include "cpu/scratch.h"
#include "ops/diversity/gram.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kProductsPerChunk = 262144;  // some 20 µs of work
/// Samples whose distances to all that follow are one piece of work.
constexpr int64_t kBand = 32;
/// With fewer prompts, the bands of each are spread over the threads instead of the prompts.
constexpr int64_t kFewPrompts = 16;

int64_t bands_of(int64_t samples) { return (samples + kBand - 1) / kBand; }

/// The embeddings of one prompt's samples, and what is known of all of them.
struct Prompt {
  const float* rows;  // [samples, dimensions]
  int64_t samples, dimensions;
  double* squares;  // [samples]
  bool exact;       // products in double
  const void* next;    // the embeddings of the next prompt, as they are given
  int64_t next_bytes;  // of them; 0: there is none
};

/// Whether float32 sums of products will do: they neither overflow nor lose what is below its smallest normal number.
/// Rows of zeros will do.
bool float_holds(const Prompt& p) {
  for (int64_t i = 0; i < p.samples; i++) {
    const double square = p.squares[i];
    if (square >= 0x1p-60 && square <= 0x1p120) continue;
    if (!(square == 0)) return false;
    const float* row = p.rows + i * p.dimensions;
    for (int64_t k = 0; k < p.dimensions; k++)
      if (row[k] != 0) return false;
  }
  return true;
}

void exact_squares(Prompt& p) {
  p.exact = true;
  for (int64_t i = 0; i < p.samples; i++) {
    const float* row = p.rows + i * p.dimensions;
    p.squares[i] = exact_product(row, row, p.dimensions);
  }
}

/// The squared lengths of more samples than a band has.
void find_squares(Prompt& p) {
  for (int64_t i = 0; i < p.samples; i += kTileRows) {
    const int64_t lines = i + kTileRows < p.samples ? kTileRows : p.samples - i;
    double totals[kTileRows * kTileRows];
    products(p.rows + i * p.dimensions, lines, lines, p.dimensions, totals, kTileRows);
    for (int64_t k = 0; k < lines; k++) p.squares[i + k] = totals[k * (kTileRows + 1)];
  }
  p.exact = !float_holds(p);
  if (p.exact) exact_squares(p);
}

/// Turns scalar products with a sample into distances, 1 − cos.
void make_distances(double* values, double square, const double* squares, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    const double cosine = values[j] / std::sqrt(square * squares[j]);
    const double above = cosine > 1 ? 1 : cosine;
    const double distance = 1 - (above < -1 ? -1 : above);
    values[j] = square == 0 || squares[j] == 0 ? 1 : distance;
  }
}

/// The distances of a band's samples to all that follow: their sum is returned, and `sums` becomes that of each sample,
/// counted from the band's first. For a single band the squares are found here.
double sum_band(Prompt& p, int64_t first, bool single, double* sums) {
  static thread_local Scratch scratch;
  const int64_t count = p.samples - first, lines = count < kBand ? count : kBand;
  double* totals = scratch.get<double>(lines * count);
  const float* rows = p.rows + first * p.dimensions;
  if (single || !p.exact) products(rows, count, lines, p.dimensions, totals, count, p.next, single ? p.next_bytes : 0);
  if (single) {
    for (int64_t i = 0; i < lines; i++) p.squares[i] = totals[i * (count + 1)];
    p.exact = !float_holds(p);
    if (p.exact) exact_squares(p);
  }
  if (p.exact) exact_products(rows, count, lines, p.dimensions, totals, count);
  for (int64_t j = 0; j < count; j++) sums[j] = 0;
  double all = 0;
  for (int64_t i = 0; i < lines; i++) {
    double* distances = totals + i * count;
    make_distances(distances + i + 1, p.squares[first + i], p.squares + first + i + 1, count - i - 1);
    double line = 0;
    for (int64_t j = i + 1; j < count; j++) {
      line += distances[j];
      sums[j] += distances[j];
    }
    sums[i] += line;
    all += line;
  }
  return all;
}

Flaw flaw_of(const float* values, int64_t n, const char* argument, bool with_column) {
  for (int64_t i = 0; i < n; i++)
    if (values[i] - values[i] != 0) return {argument, "a finite number", with_column ? i : -1, values[i]};
  return {};
}

/// Writes the outputs of prompt `index` from the sums of its distances, `all` and those of each sample.
template <class T>
void finish(const DiversityReward<T>& a, int64_t index, const Prompt& p, const double* of_sample, double all, Fault& fault) {
  const int64_t samples = a.samples, pairs = samples * (samples - 1) / 2;
  if (a.baselines)
    if (const Flaw flaw = flaw_of(a.baselines + index, 1, "baselines", false)) fault.note(index, flaw);
  for (int64_t i = 0; i < samples; i++) {
    if (p.squares[i] - p.squares[i] != 0)
      // Rows of the report are samples, counted over all prompts.
      fault.note(index * samples + i, flaw_of(p.rows + i * p.dimensions, p.dimensions, "embeddings", true));
    const double reward = of_sample[i] / static_cast<double>(samples - 1);
    double baseline = 0;
    if (a.baselines)
      baseline = a.baselines[index];
    else if (samples > 2)
      baseline = (all - of_sample[i]) / static_cast<double>(pairs - (samples - 1));
    a.reward[index * samples + i] = static_cast<float>(reward);
    a.advantage[index * samples + i] = static_cast<float>(reward - baseline);
  }
  a.diversity[index] = static_cast<float>(all / static_cast<double>(pairs));
}

const float* widen_rows(const float* rows, int64_t, Scratch&) { return rows; }
template <class T>
const float* widen_rows(const T* rows, int64_t n, Scratch& scratch) {
  float* wide = scratch.get<float>(n);
  for_each_vector(0, n, [&](int64_t i, auto io) { io.store(wide + i, io.load(rows + i, 0)); });
  return wide;
}

/// One prompt. `spread` runs the bands: spread(count, body) calls body(begin, end) for parts of [0, count).
template <class T, class Spread>
void reward_prompt(const DiversityReward<T>& a, int64_t index, const Spread& spread, Fault& fault) {
  static thread_local Scratch widened_scratch, scratch;
  const int64_t samples = a.samples, bands = bands_of(samples);
  double* of_sample = scratch.get<double>(samples * (bands + 2) + bands);
  double *of_band = of_sample + samples, *all_of = of_band + bands * samples;
  const T* rows = a.embeddings + index * samples * a.dimensions;
  const float* wide = widen_rows(rows, samples * a.dimensions, widened_scratch);
  const int64_t next_bytes = index + 1 < a.prompts ? samples * a.dimensions * static_cast<int64_t>(sizeof(T)) : 0;
  Prompt p{wide, samples, a.dimensions, all_of + bands, false, rows + samples * a.dimensions, next_bytes};
  if (bands > 1) find_squares(p);
  spread(bands, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) all_of[b] = sum_band(p, b * kBand, bands == 1, of_band + b * samples);
  });
  double all = 0;
  for (int64_t i = 0; i < samples; i++) of_sample[i] = 0;
  for (int64_t b = 0; b < bands; b++) {
    for (int64_t i = b * kBand; i < samples; i++) of_sample[i] += of_band[b * samples + i - b * kBand];
    all += all_of[b];
  }
  finish(a, index, p, of_sample, all, fault);
}

template <class T>
int32_t diversity_reward(const DiversityReward<T>& a, const Parallel& parallel, cfgd_status* status) {
  const int64_t samples = a.samples;
  Fault fault;
  if (a.prompts < kFewPrompts && samples > kBand) {
    for (int64_t p = 0; p < a.prompts; p++)
      reward_prompt(a, p, [&](int64_t bands, const auto& body) { parallel(bands, 1, body); }, fault);
  } else {
    const int64_t work = samples * (samples + 1) / 2 * (a.dimensions + 32);
    parallel(a.prompts, kProductsPerChunk / work + 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++)
        reward_prompt(a, p, [](int64_t bands, const auto& body) { body(int64_t{0}, bands); }, fault);
    });
  }
  if (samples == 2 && !a.baselines && a.prompts > 1) {
    double total = 0;
    for (int64_t p = 0; p < a.prompts; p++) total += a.diversity[p];
    for (int64_t i = 0; i < 2 * a.prompts; i++)
      a.advantage[i] = static_cast<float>(a.reward[i] - (total - a.diversity[i / 2]) / static_cast<double>(a.prompts - 1));
  }
  return fault.report(status);
}

}  // namespace

void register_diversity(CpuTable& table) {
  set<DiversityReward<float>, diversity_reward<float>>(table, Op::diversity_reward);
  set<DiversityReward<bf16>, diversity_reward<bf16>>(table, {Op::diversity_reward, DType::bf16});
  set<DiversityReward<f16>, diversity_reward<f16>>(table, {Op::diversity_reward, DType::f16});
}

}  // namespace cfgd::CFGD_ISA
