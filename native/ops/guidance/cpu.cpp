#include "ops/guidance/guidance.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "ops/random/philox.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 16384;  // a few microseconds of work per chunk

int64_t rows_per_chunk(int64_t vocab) { return vocab >= kElementsPerChunk ? 1 : kElementsPerChunk / (vocab + 1) + 1; }

/// The first fault of a loop: rows run in any order, but the lowest faulty row is the one reported.
struct Fault {
  int64_t row = INT64_MAX;
  int64_t token = -1;  // −1: the row has no finite logit
  const char* what = "";
};

void note(Fault& fault, int64_t row, int64_t token, const char* what) {
  // Rarely taken, and by at most a few threads: a lock of the compiler's own suffices.
  static char lock = 0;
  while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {
  }
  if (row < fault.row) fault = {row, token, what};
  __atomic_clear(&lock, __ATOMIC_RELEASE);
}

int32_t report(const Fault& fault, cfgd_status* status) {
  if (fault.row == INT64_MAX) return CFGD_OK;
  const long long row = fault.row, token = fault.token;
  if (token < 0)
    return cfgd_fail(status, CFGD_VALUE, "cond", "expected at least one finite logit in row %lld, got none", row);
  return cfgd_fail(status, CFGD_VALUE, fault.what, "expected a finite logit or -Infinity at [%lld, %lld], got %s", row,
                   token, "NaN or Infinity");
}

/// Which argument is bad at a token known to be bad.
const char* culprit(const float* cond, const float* uncond, int64_t token) {
  const float c = cond[token];
  return uncond && c == c && c < INFINITY ? "uncond" : "cond";
}

/// Combines one row. Returns the first token whose inputs are NaN or +∞, or −1.
int64_t combine_row(const float* cond, const float* uncond, float scale, float* out, int64_t vocab) {
  const Vec infinity = broadcast(INFINITY);
  IVec bad = {};
  const bool plain = !uncond, first = scale == 0, second = scale == 1;
  auto combined = [&](Vec c, Vec u) {
    bad |= (!(c < infinity)) | (!(u < infinity));
    const Vec mixed = first ? u : second ? c : u + scale * (c - u);
    return (c == -infinity) | (u == -infinity) ? -infinity : mixed;
  };
  int64_t i = 0;
  for (; i + kLanes <= vocab; i += kLanes) {
    const Vec c = load(cond + i);
    if (plain) {
      bad |= !(c < infinity);
      store(out + i, c);
    } else {
      store(out + i, combined(c, load(uncond + i)));
    }
  }
  if (i < vocab) {
    const int n = static_cast<int>(vocab - i);
    const Vec c = load_part(cond + i, n, 0);
    if (plain) bad |= !(c < infinity);
    store_part(out + i, plain ? c : combined(c, load_part(uncond + i, n, 0)), n);
  }
  if (!any(bad)) return -1;
  for (int64_t t = 0; t < vocab; t++)
    if (!(cond[t] < INFINITY) || (uncond && !(uncond[t] < INFINITY))) return t;
  return -1;
}

int32_t guided_logits(const GuidedLogitsArgs& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* cond = a.cond + r * a.vocab;
      const float* uncond = a.uncond + r * a.vocab;
      // Looked up first: the output may overwrite the inputs.
      const float scale = a.scales ? a.scales[r] : a.scale;
      const bool in_place = a.out == a.cond || a.out == a.uncond;
      const int64_t token = combine_row(cond, uncond, scale, a.out + r * a.vocab, a.vocab);
      if (token >= 0) note(fault, r, token, in_place ? "cond" : culprit(cond, uncond, token));
    }
  });
  return report(fault, status);
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

constexpr int64_t kSumChunk = 256;

/// Sum of a row's weights, chunks in double so that the error does not grow with the vocabulary.
double sum_of(const float* weights, int64_t vocab) {
  double total = 0;
  for (int64_t i = 0; i < vocab; i += kSumChunk) {
    const int64_t end = i + kSumChunk < vocab ? i + kSumChunk : vocab;
    Vec v = {};
    int64_t t = i;
    for (; t + kLanes <= end; t += kLanes) v += load(weights + t);
    if (t < end) v += load_part(weights + t, static_cast<int>(end - t), 0);
    total += reduce_add(v);
  }
  return total;
}

/// Draws from logits that are already combined, in s.logits. Returns token −1 for an empty support.
Drawn draw_row(RowSpace& s, int64_t vocab, const DrawOptions& options, uint64_t stream, uint32_t position) {
  float best = -INFINITY;
  int64_t best_token = -1;
  for (int64_t t = 0; t < vocab; t++)
    if (s.logits[t] > best) {
      best = s.logits[t];
      best_token = t;
    }
  if (best_token < 0) return {-1, 0};
  if (options.temperature == 0) return {static_cast<int32_t>(best_token), 0};

  const float inverse = 1.0f / options.temperature;
  int64_t i = 0;
  for (; i + kLanes <= vocab; i += kLanes) store(s.weights + i, exp((load(s.logits + i) - best) * inverse));
  if (i < vocab) {
    const int n = static_cast<int>(vocab - i);
    store_part(s.weights + i, exp((load_part(s.logits + i, n, 0) - best) * inverse), n);
  }
  if (options.top_k) keep_top_k(s, vocab, options.top_k);
  if (options.top_p < 1) keep_top_p(s, vocab, options.top_p * sum_of(s.weights, vocab));

  const double total = sum_of(s.weights, vocab);
  double target = philox_uniform(philox(options.seed, stream, position, kPurposeSample)) * total;
  int64_t last = best_token;
  for (int64_t t = 0; t < vocab; t++) {
    if (s.weights[t] == 0) continue;
    last = t;
    target -= s.weights[t];
    if (target < 0) break;
  }
  const double log_prob = static_cast<double>(s.logits[last] - best) / options.temperature - std::log(total);
  return {static_cast<int32_t>(last), static_cast<float>(log_prob)};
}

int32_t sample_guided(const SampleGuidedArgs& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    RowSpace space = row_space(a.vocab);
    for (int64_t r = begin; r < end; r++) {
      const float* cond = a.cond + r * a.vocab;
      const float* uncond = a.uncond ? a.uncond + r * a.vocab : nullptr;
      const float scale = a.scales ? a.scales[r] : a.scale;
      const int64_t bad = combine_row(cond, uncond, scale, space.logits, a.vocab);
      if (bad >= 0) {
        note(fault, r, bad, culprit(cond, uncond, bad));
        continue;
      }
      const int64_t stream = a.counters ? a.counters[r] : a.offset + r;
      const Drawn drawn = draw_row(space, a.vocab, a.draw, static_cast<uint64_t>(stream), 0);
      if (drawn.token < 0) note(fault, r, -1, "");
      a.tokens[r] = drawn.token;
      a.log_probs[r] = drawn.log_prob;
    }
  });
  return report(fault, status);
}

int32_t decode_sample(const DecodeSampleArgs& a, const Parallel& parallel, cfgd_status* status) {
  const int32_t position = *a.position;
  if (position >= a.capacity)
    return cfgd_fail(status, CFGD_VALUE, "capacity", "expected at most %lld tokens", static_cast<long long>(a.capacity));
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
      const float* cond = a.logits + r * a.vocab;
      const float* uncond = a.branches == 2 ? a.logits + (a.rows + r) * a.vocab : nullptr;
      const int64_t bad = combine_row(cond, uncond, uncond ? a.scales[r] : 1.0f, space.logits, a.vocab);
      if (bad >= 0) {
        note(fault, r, bad, culprit(cond, uncond, bad));
        continue;
      }
      const Drawn drawn = draw_row(space, a.vocab, a.draw, static_cast<uint32_t>(a.streams[r]),
                                   static_cast<uint32_t>(position));
      if (drawn.token < 0) {
        note(fault, r, -1, "");
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
  return report(fault, status);
}

}  // namespace

void register_guidance(CpuTable& table) {
  set<GuidedLogitsArgs, guided_logits>(table, Op::guided_logits);
  set<SampleGuidedArgs, sample_guided>(table, Op::sample_guided);
  set<DecodeSampleArgs, decode_sample>(table, Op::decode_sample);
}

}  // namespace cfgd::CFGD_ISA
