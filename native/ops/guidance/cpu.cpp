#include "ops/guidance/guidance.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "ops/guidance/combine.h"
#include "ops/random/philox.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 16384;  // a few microseconds of work per chunk

int64_t rows_per_chunk(int64_t vocab) { return vocab >= kElementsPerChunk ? 1 : kElementsPerChunk / (vocab + 1) + 1; }

int32_t guided_logits(const GuidedLogitsArgs& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      Flaw flaw;
      const Guidance guidance = guidance_of(a.scales, a.scale, true, r, flaw);
      const int64_t at = r * a.vocab;
      if (!flaw) flaw = combine_row(guidance, a.cond + at, a.uncond + at, a.out + at, a.vocab);
      if (flaw) fault.note(r, flaw);
    }
  });
  return fault.report(status);
}

/// A float as an unsigned integer of the same order.
uint32_t ordered(float x) {
  uint32_t bits;
  const float plus = x + 0.0f;  // −0 and +0 are one value
  std::memcpy(&bits, &plus, 4);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

constexpr int kBuckets = 2048;
constexpr int kShifts[] = {21, 10, 0};  // radix digits of 11, 11 and 10 bits

/// Memory for one row: the logits, their weights, and the tables of the selections.
struct RowSpace {
  float* logits;
  float* weights;
  double* mass;     // [kBuckets]
  uint32_t* count;  // [kBuckets]
};

RowSpace row_space(int64_t vocab) {
  static thread_local Scratch scratch;
  const int64_t padded = (vocab + 15) / 16 * 16;
  char* p = scratch.get<char>(padded * 8 + kBuckets * 12);
  RowSpace s;
  s.logits = reinterpret_cast<float*>(p);
  s.weights = s.logits + padded;
  s.mass = reinterpret_cast<double*>(s.weights + padded);
  s.count = reinterpret_cast<uint32_t*>(s.mass + kBuckets);
  return s;
}

/// Keeps the tokens above a threshold and the first `ties` of those at it; the others get weight 0.
void keep(RowSpace& s, int64_t vocab, uint32_t threshold, int64_t ties) {
  for (int64_t t = 0; t < vocab; t++) {
    const uint32_t key = ordered(s.logits[t]);
    if (key > threshold || (key == threshold && ties-- > 0)) continue;
    s.weights[t] = 0;
  }
}

/// Top-k by radix selection on the ordered logits: three passes of 11, 11 and 10 bits, no sort.
void keep_top_k(RowSpace& s, int64_t vocab, int64_t k) {
  if (k >= vocab) return;
  uint32_t prefix = 0;
  int64_t wanted = k;
  for (const int shift : kShifts) {
    const uint32_t buckets = shift == 0 ? 1024 : 2048;
    const int above = shift + (shift == 0 ? 10 : 11);
    std::memset(s.count, 0, buckets * sizeof(uint32_t));
    for (int64_t t = 0; t < vocab; t++) {
      const uint32_t key = ordered(s.logits[t]);
      if (above < 32 && key >> above != prefix >> above) continue;
      s.count[(key >> shift) & (buckets - 1)]++;
    }
    uint32_t b = buckets - 1;
    while (wanted > s.count[b]) wanted -= s.count[b--];
    prefix |= b << shift;
  }
  keep(s, vocab, prefix, wanted);
}

/// Top-p in the same way, with the mass of each bucket instead of its count.
void keep_top_p(RowSpace& s, int64_t vocab, double target) {
  uint32_t prefix = 0;
  double above_mass = 0;
  for (const int shift : kShifts) {
    const uint32_t buckets = shift == 0 ? 1024 : 2048;
    const int above = shift + (shift == 0 ? 10 : 11);
    std::memset(s.mass, 0, buckets * sizeof(double));
    std::memset(s.count, 0, buckets * sizeof(uint32_t));
    for (int64_t t = 0; t < vocab; t++) {
      if (s.weights[t] == 0) continue;
      const uint32_t key = ordered(s.logits[t]);
      if (above < 32 && key >> above != prefix >> above) continue;
      const uint32_t b = (key >> shift) & (buckets - 1);
      s.mass[b] += s.weights[t];
      s.count[b]++;
    }
    // The last bucket that is not empty is taken even when rounding leaves the mass just short of the target.
    uint32_t chosen = 0;
    bool found = false;
    double before = above_mass;
    for (int64_t b = buckets - 1; b >= 0; b--) {
      if (!s.count[b]) continue;
      chosen = static_cast<uint32_t>(b);
      before = above_mass;
      if (above_mass + s.mass[b] >= target) {
        found = true;
        break;
      }
      above_mass += s.mass[b];
    }
    if (!found) above_mass = before;
    prefix |= chosen << shift;
  }
  // All tokens at the threshold weigh the same; as many stay as the target still needs.
  const uint32_t slot = prefix & 1023;
  const double each = s.mass[slot] / s.count[slot];
  const double needed = std::ceil((target - above_mass) / each - 1e-12);
  const int64_t ties = needed < 1 ? 1 : needed > s.count[slot] ? s.count[slot] : static_cast<int64_t>(needed);
  keep(s, vocab, prefix, ties);
}

struct Drawn {
  int32_t token;
  float log_prob;
};

/// Sum of the weights [begin, end) of one chunk of kSumChunk at most.
double chunk_mass(const float* weights, int64_t begin, int64_t end) {
  Vec sum = {};
  for_each_vector(begin, end, [&](int64_t i, auto io) { sum += io.load(weights + i, 0); });
  return reduce_add(sum);
}

/// Sum of a row's weights, chunks in double so that the error does not grow with the vocabulary.
double mass_of(const float* weights, int64_t vocab) {
  double total = 0;
  for (int64_t i = 0; i < vocab; i += kSumChunk)
    total += chunk_mass(weights, i, i + kSumChunk < vocab ? i + kSumChunk : vocab);
  return total;
}

/// The token at which the running sum of the weights passes `target`; never one of weight 0. Where rounding leaves the
/// sum short, it is the last token that has weight.
int64_t invert(const float* weights, int64_t vocab, double target) {
  int64_t chunk = 0;
  double left = target;
  for (int64_t begin = 0; begin < vocab; begin += kSumChunk) {
    const double mass = chunk_mass(weights, begin, begin + kSumChunk < vocab ? begin + kSumChunk : vocab);
    if (mass == 0) continue;
    chunk = begin;
    left = target;
    if (target < mass) break;
    target -= mass;
  }
  int64_t token = -1;
  for (int64_t t = chunk; t < vocab && t < chunk + kSumChunk; t++) {
    if (weights[t] == 0) continue;
    token = t;
    left -= weights[t];
    if (left < 0) break;
  }
  return token;
}

/// Draws from logits that are already combined, in s.logits. Returns token −1 for an empty support.
Drawn draw_row(RowSpace& s, int64_t vocab, const DrawOptions& options, uint64_t stream, uint32_t position) {
  const float best = max_of(s.logits, vocab);
  if (best == -INFINITY) return {-1, 0};
  if (options.temperature == 0) {
    int32_t token = 0;
    while (s.logits[token] != best) token++;
    return {token, 0};
  }
  // Divided, not multiplied by the inverse: that of a tiny temperature is beyond float32.
  const Vec temperature = broadcast(options.temperature);
  for_each_vector(0, vocab, [&](int64_t i, auto io) {
    io.store(s.weights + i, exp((io.load(s.logits + i, 0) - best) / temperature));
  });
  if (options.top_k) keep_top_k(s, vocab, options.top_k);
  if (options.top_p < 1) {
    const double p = options.top_p;
    keep_top_p(s, vocab, (p - 1e-6 * p * (1 - p)) * mass_of(s.weights, vocab));
  }
  const double total = mass_of(s.weights, vocab);
  const double target = philox_uniform(philox(options.seed, stream, position, kPurposeSample)) * total;
  const int64_t token = invert(s.weights, vocab, target);
  const double log_prob =
      (static_cast<double>(s.logits[token]) - best) / options.temperature - std::log(total);
  return {static_cast<int32_t>(token), static_cast<float>(log_prob)};
}

constexpr Flaw kNoSupport = {"cond", "at least one token with finite logits", -1, 0, "none"};

int32_t sample_guided(const SampleGuidedArgs& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    RowSpace space = row_space(a.vocab);
    for (int64_t r = begin; r < end; r++) {
      Flaw flaw;
      const int64_t at = r * a.vocab;
      const Guidance guidance = guidance_of(a.scales, a.scale, a.uncond != nullptr, r, flaw);
      const int64_t stream = a.counters ? a.counters[r] : a.offset + r;
      if (!flaw && stream < 0) flaw = {"offset", "a counter of at least 0", -1, static_cast<double>(stream)};
      if (!flaw) flaw = combine_row(guidance, a.cond + at, a.uncond ? a.uncond + at : nullptr, space.logits, a.vocab);
      if (!flaw) {
        const Drawn drawn = draw_row(space, a.vocab, a.draw, static_cast<uint64_t>(stream), 0);
        a.tokens[r] = drawn.token;
        a.log_probs[r] = drawn.log_prob;
        if (drawn.token < 0) flaw = kNoSupport;
      }
      if (flaw) fault.note(r, flaw);
    }
  });
  return fault.report(status);
}

int32_t decode_sample(const DecodeSampleArgs& a, const Parallel& parallel, cfgd_status* status) {
  const int32_t position = *a.position;
  if (position < 0 || position >= a.capacity)
    return cfgd_fail(status, CFGD_VALUE, "position", "expected a position in the history's capacity of %lld, got %d",
                     static_cast<long long>(a.capacity), position);
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    RowSpace space = row_space(a.vocab);
    for (int64_t r = begin; r < end; r++) {
      int32_t* token = a.history + r * a.capacity + position;
      float* log_prob = a.history_log_probs + r * a.capacity + position;
      if (a.finished[r]) {
        *token = -1;
        *log_prob = 0;
        continue;
      }
      Flaw flaw;
      const Guidance guidance = guidance_of(a.scales, 1, a.branches == 2, r, flaw);
      const float* cond = a.logits + r * a.vocab;
      if (!flaw) flaw = combine_row(guidance, cond, cond + a.rows * a.vocab, space.logits, a.vocab);
      Drawn drawn{-1, 0};
      if (!flaw) {
        drawn = draw_row(space, a.vocab, a.draw, static_cast<uint32_t>(a.streams[r]), static_cast<uint32_t>(position));
        if (drawn.token < 0) flaw = kNoSupport;
      }
      if (flaw) {
        fault.note(r, flaw);
        continue;
      }
      *token = drawn.token;
      *log_prob = drawn.log_prob;
      for (int64_t b = 0; b < a.branches; b++) a.next[b * a.rows + r] = drawn.token;
      if (drawn.token == a.stop_token) a.finished[r] = 1;
    }
  });
  int32_t unfinished = 0;
  for (int64_t r = 0; r < a.rows; r++) unfinished += !a.finished[r];
  *a.unfinished = unfinished;
  *a.position = position + 1;
  return fault.report(status);
}

}  // namespace

void register_guidance(CpuTable& table) {
  set<GuidedLogitsArgs, guided_logits>(table, Op::guided_logits);
  set<SampleGuidedArgs, sample_guided>(table, Op::sample_guided);
  set<DecodeSampleArgs, decode_sample>(table, Op::decode_sample);
}

}  // namespace cfgd::CFGD_ISA
