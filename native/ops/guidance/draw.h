// Drawing a token from one row. Included only from per-ISA files (see cpu/kernel.h). The rules are in guidance.h.
//
// Without truncation a row is read once and nothing of its size is kept: a block of tokens is combined in the first-level
// cache and its weights e^((logit − largest so far) / T) are summed; the draw goes to a block by these sums and combines
// that one again. Top-k looks at logits only: the k-th largest of the maxima of small groups of tokens is a lower bound
// for the k-th largest logit, and the few blocks with tokens above it are combined again. Top-p keeps the row's weights.
#pragma once
#include "cpu/exp.h"
#include "cpu/prefetch.h"
#include "cpu/scratch.h"
#include "ops/guidance/guidance.h"
#include "ops/guidance/logit_row.h"
#include "ops/guidance/largest.h"
#include "ops/guidance/nucleus.h"
#include "ops/random/philox.h"

namespace cfgd::CFGD_ISA {
namespace {

struct Drawn {
  int32_t token;
  float log_prob;
};

constexpr Flaw kNoSupport = {"cond", "at least one token with finite logits", -1, 0, "none"};

/// Memory of a thread for the rows that it draws from, one after another.
struct DrawSpace {
  Scratch sums, row, values, tokens, bracket;
  static DrawSpace& mine() {
    static thread_local DrawSpace space;
    return space;
  }
};

/// The draw of one row: where in the distribution, and how logits become weights.
struct Draw {
  float temperature;
  int64_t top_k;
  double top_p;
  double uniform;  // in [0, 1)
  float scale;     // log₂ e / T

  Draw(const DrawOptions& options, uint64_t stream, uint32_t position)
      : temperature(options.temperature), top_k(options.top_k), top_p(options.top_p),
        uniform(philox_uniform(philox(options.seed, stream, position, kPurposeSample))) {
    scale = static_cast<float>(1.4426950408889634 / static_cast<double>(temperature));
  }
  double log_weight(float logit, float best) const {
    return (static_cast<double>(logit) - static_cast<double>(best)) / static_cast<double>(temperature);
  }
  /// Rounding alone can take a certain token's above 0.
  float log_prob(float logit, float best, double total) const {
    const double value = log_weight(logit, best) - std::log(total);
    return value < 0 ? static_cast<float>(value) : 0.0f;
  }
};

/// The sum of the weights of a block of logits, 1 for `best`; the weights themselves go to `weights`, which may be the
/// block itself, if they are to be stored. Half of a lane's share is added up in turn, then the halves and the lanes.
///
/// meanwhile(i, j) is called for each two vectors of elements, [i, j): memory can be fetched there.
template <int64_t n, bool kStored, class Meanwhile>
inline float weigh(const float* block, float* weights, float best, float scale, const Meanwhile& meanwhile) {
  constexpr int kSums = 2, kTogether = 4;
  static_assert(n % (kTogether * kLanes) == 0);
  const Vec largest = broadcast(best);
  Vec sums[kSums] = {};
  for (int64_t i = 0; i < n; i += kTogether * kLanes) {
    Vec w[kTogether];
#pragma GCC unroll 4
    for (int k = 0; k < kTogether; k++) w[k] = load(block + i + k * kLanes) - largest;
    exp_scaled(w, scale);
#pragma GCC unroll 4
    for (int k = 0; k < kTogether; k++) {
      if constexpr (kStored) store(weights + i + k * kLanes, w[k]);
      sums[k % kSums] += w[k];
    }
    for (int k = 0; k < kTogether; k += kSums) meanwhile(i + k * kLanes, i + (k + kSums) * kLanes);
  }
  return reduce_add(sums[0] + sums[1]);
}

/// The first place of a block of weights at which their running sum passes `target`; never one of weight 0. Where rounding
/// leaves the sum short, it is the last place with a weight; 0 if there is none, as when another thread writes to shared
/// memory that is drawn from.
template <int64_t n>
inline int64_t invert(const float* weights, double target) {
  constexpr int64_t kGroup = 2 * kLanes > 32 ? 2 * kLanes : 32;
  int64_t chosen = 0;
  double left = 0;
  for (int64_t begin = 0; begin < n; begin += kGroup) {
    Vec sum = {};
    for (int64_t i = begin; i < begin + kGroup; i += kLanes) sum += load(weights + i);
    const double mass = reduce_add(sum);
    if (mass == 0) continue;
    chosen = begin;
    left = target;
    if (target < mass) break;
    target -= mass;
  }
  int64_t place = 0;
  for (int64_t i = chosen; i < chosen + kGroup; i++) {
    if (weights[i] == 0) continue;
    place = i;
    left -= weights[i];
    if (left < 0) break;
  }
  return place;
}

constexpr auto kIdle = [](int64_t, int64_t) {};

template <class T>
class RowDraw {
  using Row = LogitRow<T>;
  static constexpr int64_t kKeptBlocks = 64;  // 64 KiB
  static constexpr int64_t kBlock = Row::kBlock, kMaxima = Row::kMaxima, kVectors = Row::kVectors;

 public:
  RowDraw(const Row& row, const Draw& draw) : row_(row), draw_(draw), space_(DrawSpace::mine()) {}

  Flaw operator()(Drawn& drawn) {
    if (draw_.temperature == 0) return take_best(drawn);
    if (draw_.top_k && draw_.top_k < row_.vocab) return draw_of_largest(drawn);
    return draw_.top_p < 1 ? draw_of_mass(drawn) : draw_plainly(drawn);
  }

 private:
  /// Combines the row's blocks, in order: body(block, logits, maxima).
  template <class Body>
  Flaw each_block(float* logits, int64_t step, const Body& body) const {
    Vec maxima[kVectors];
    for (int64_t b = 0; b < row_.blocks(); b++) {
      if (const Flaw flaw = row_.combine(b * kBlock, logits + b * step, maxima)) return flaw;
      body(b, logits + b * step, maxima);
    }
    return {};
  }
  static float largest_of(const Vec (&maxima)[kVectors]) {
    Vec all = maxima[0];
    for (int64_t v = 1; v < kVectors; v++) all = max(all, maxima[v]);
    return reduce_max(all);
  }
  /// Combines a block again that has been found to be sound.
  void again(int64_t block, float* logits) const {
    Vec unused[kVectors];
    row_.combine(block * kBlock, logits, unused);
  }
  /// A block of this row, or of what follows it in memory, mostly the next row.
  Ahead<2> ahead(int64_t block) const {
    return Ahead<2>::behind<T>({row_.cond, row_.guidance.guided ? row_.uncond : row_.cond}, block * kBlock);
  }
  /// The same as something to do meanwhile.
  auto fetching(int64_t block) const {
    return [there = ahead(block)](int64_t begin, int64_t end) { there.fetch(begin, end); };
  }
  /// Whether this row and the next one stay in the second-level cache together.
  bool is_short() const { return row_.blocks() <= kKeptBlocks; }
  /// One of two parts of the next row, or of as much of it as is to stay in the second-level cache, a step for each two
  /// vectors of this one.
  Trail next_row(int part) const {
    const bool guided = row_.guidance.guided;
    const int64_t tokens = is_short() ? row_.vocab : kKeptBlocks * kBlock, half = guided ? 0 : part * tokens / 2;
    const T* from = guided && part ? row_.uncond : row_.cond;
    return {reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(from) + (row_.vocab + half) * sizeof(T)),
            (guided ? tokens : tokens / 2) * static_cast<int64_t>(sizeof(T)), row_.blocks() * kBlock / (2 * kLanes)};
  }
  /// While nothing is read from this row any more: as much of the next one as stays in the second-level cache.
  Ahead<2> ahead_in_next_row(int64_t block) const {
    return block < kKeptBlocks ? ahead(row_.blocks() + block) : Ahead<2>{};
  }
  Flaw take_best(Drawn& drawn) {
    alignas(64) float logits[kBlock];
    float best = -INFINITY;
    int64_t block = 0;
    const Flaw flaw = each_block(logits, 0, [&](int64_t b, const float*, const Vec(&maxima)[kVectors]) {
      const float largest = largest_of(maxima);
      if (largest > best) best = largest, block = b;
    });
    if (flaw) return flaw;
    if (best == -INFINITY) return kNoSupport;
    again(block, logits);
    int64_t i = 0;
    while (i + 1 < kBlock && logits[i] != best) i++;  // it is there, unless shared memory has changed meanwhile
    drawn = {static_cast<int32_t>(block * kBlock + i), 0};
    return {};
  }

  Flaw draw_plainly(Drawn& drawn) {
    alignas(64) float block[kBlock];
    struct Sum {
      float mass, best;  // relative to the largest logit so far
    };
    Sum* sums = space_.sums.get<Sum>(row_.blocks());
    float best = -INFINITY;
    const Flaw flaw = each_block(block, 0, [&](int64_t b, float* logits, const Vec(&maxima)[kVectors]) {
      const float largest = largest_of(maxima);
      best = largest > best ? largest : best;
      sums[b] = {best == -INFINITY ? 0 : weigh<kBlock, false>(logits, nullptr, best, draw_.scale, fetching(b + 2)), best};
    });
    if (flaw) return flaw;
    if (best == -INFINITY) return kNoSupport;
    double total = 0, factor = 1;
    float last = best;
    const auto mass_of = [&](const Sum& sum) {
      if (sum.mass == 0) return 0.0;
      if (sum.best != last) last = sum.best, factor = std::exp(draw_.log_weight(last, best));
      return sum.mass * factor;
    };
    for (int64_t b = 0; b < row_.blocks(); b++) total += mass_of(sums[b]);
    double target = draw_.uniform * total, left = 0;
    int64_t chosen = -1;
    for (int64_t b = 0; b < row_.blocks(); b++) {
      const double mass = mass_of(sums[b]);
      if (mass == 0) continue;
      chosen = b;
      left = target;
      if (target < mass) break;
      target -= mass;
    }
    again(chosen, block);
    weigh<kBlock, true>(block, block, sums[chosen].best, draw_.scale, kIdle);
    mass_of(sums[chosen]);
    const int64_t token = chosen * kBlock + invert<kBlock>(block, left / factor);
    drawn = {static_cast<int32_t>(token), draw_.log_prob(row_[token], best, total)};
    return {};
  }

  /// Top-k, and top-p of what it leaves.
  Flaw draw_of_largest(Drawn& drawn) {
    const int64_t blocks = row_.blocks(), k = draw_.top_k;
    // Short rows are kept, of long ones the blocks that matter are combined again.
    const int64_t step = blocks <= kKeptBlocks ? kBlock : 0;
    float* combined = space_.row.get<float>(step ? blocks * kBlock : kBlock);
    float* maxima_of = space_.sums.get<float>(blocks * (kMaxima + 1));  // of groups, [blocks, kMaxima]
    float* largest_in = maxima_of + blocks * kMaxima;                    // of blocks
    float best = -INFINITY;
    const Flaw flaw = each_block(combined, step, [&](int64_t b, const float*, const Vec(&maxima)[kVectors]) {
      for (int64_t v = 0; v < kVectors; v++) store(maxima_of + b * kMaxima + v * kLanes, maxima[v]);
      largest_in[b] = largest_of(maxima);
      best = largest_in[b] > best ? largest_in[b] : best;
    });
    if (flaw) return flaw;
    if (best == -INFINITY) return kNoSupport;
    // At least k tokens are at or above the k-th largest maximum, and few more than that.
    const bool coarse = blocks >= 4 * k && blocks % kLanes == 0;
    const Cut cut = cut_at(coarse ? largest_in : maxima_of, coarse ? blocks : blocks * kMaxima, best, k, k + k / 4);
    const float bound = cut.at > -INFINITY ? cut.at : of_key(key_of(-INFINITY) + 1);
    int64_t room = kBlock;
    for (int64_t b = 0; b < blocks; b++) room += largest_in[b] >= bound ? kBlock : 0;
    float* logits = space_.values.get<float>(room);
    int32_t* tokens = space_.tokens.get<int32_t>(room);
    Found candidates{logits, {tokens}};
    for (int64_t b = 0; b < blocks; b++) {
      ahead_in_next_row(b).fetch(0, kBlock);
      if (!(largest_in[b] >= bound)) continue;
      const float* block = combined + b * step;
      if (!step) again(b, combined);
      for (int64_t i = 0; i < kBlock; i += kLanes) {
        const Vec x = load(block + i);
        candidates.add(x, places_from(b * kBlock + i), x >= bound);
      }
    }
    for (int64_t i = candidates.count(); i < padded(candidates.count()); i++) logits[i] = -INFINITY;
    const int64_t n = keep_largest(logits, tokens, candidates.count(), best, k);
    const int64_t whole = (n + kBlock - 1) / kBlock * kBlock;
    for (int64_t i = n; i < whole; i++) logits[i] = -INFINITY;
    double *sums = space_.sums.get<double>(whole / kBlock), total = 0;
    for (int64_t at = 0; at < whole; at += kBlock)
      total += sums[at / kBlock] = weigh<kBlock, true>(logits + at, logits + at, best, draw_.scale, kIdle);
    return draw_weighed(logits, sums, whole, 1, total, best, [&](int64_t place) { return tokens[place]; }, drawn);
  }

  /// Top-p of the whole row.
  Flaw draw_of_mass(Drawn& drawn) {
    const int64_t blocks = row_.blocks();
    float* weights = space_.values.get<float>(blocks * kBlock);
    double* sums = space_.sums.get<double>(blocks);
    alignas(64) float block[kBlock];
    // Weights are relative to a logit somewhat above those of the first block. In the rare row that goes far beyond it
    // they are made again, relative to the largest.
    const float room = 8 / draw_.scale;
    float reference = -INFINITY, best = -INFINITY;
    double total = 0;
    Trail first = next_row(0);
    const auto weigh_all = [&] {
      total = 0;
      return each_block(block, 0, [&](int64_t b, const float* logits, const Vec(&maxima)[kVectors]) {
        const float largest = largest_of(maxima);
        best = largest > best ? largest : best;
        if (b == 0 && reference == -INFINITY) reference = best + room;
        if (best > reference + room || !(reference < INFINITY)) return;
        float* to = weights + b * kBlock;
        if (is_short()) {
          Trail trail = first;
          sums[b] = weigh<kBlock, true>(logits, to, reference, draw_.scale, [&](int64_t, int64_t) { trail.step(); });
          first = trail;
        } else {
          sums[b] = weigh<kBlock, true>(logits, to, reference, draw_.scale, fetching(b + 2));
        }
        total += sums[b];
      });
    };
    Flaw flaw = weigh_all();
    if (flaw) return flaw;
    if (best == -INFINITY) return kNoSupport;
    if (best > reference + room || !(reference < INFINITY) || best < reference - 2 * room) {
      reference = best;
      flaw = weigh_all();
    }
    return draw_weighed(
        weights, sums, blocks * kBlock, exp_scaled(broadcast(best) - reference, draw_.scale)[0], total, reference,
        [](int64_t place) { return static_cast<int32_t>(place); }, drawn, {next_row(1), is_short() ? Trail() : next_row(0)});
  }

  /// Draws from n weights, whole blocks of them, of which the sums are given. Weights are relative to that of a logit
  /// `reference`; token_at tells the token at a place.
  template <class TokenAt>
  Flaw draw_weighed(const float* values, double* sums, int64_t n, float largest, double total, float reference,
                    const TokenAt& token_at, Drawn& drawn, Trail (&&ahead)[2] = {}) {
    const int64_t blocks = n / kBlock;
    Kept kept;
    if (draw_.top_p < 1) {
      const double p = draw_.top_p;

      kept = keep_mass(values, n, largest, total, (p - 1e-6 * p * (1 - p)) * total, space_.bracket, sums,
                       [&](int64_t place) { return row_[token_at(place)]; },
                       ahead);
      total = 0;
      for (int64_t b = 0; b < blocks; b++) total += sums[b];
    }
    // The block, and then the place in it, at which the running sum passes the target.
    double target = draw_.uniform * total, left = 0;
    int64_t chosen = 0;
    for (int64_t b = 0; b < blocks; b++) {
      if (sums[b] == 0) continue;
      chosen = b;
      left = target;
      if (target < sums[b]) break;
      target -= sums[b];
    }
    const int64_t begin = chosen * kBlock;
    alignas(64) float block[kBlock];
    for (int64_t i = 0; i < kBlock; i += kLanes) {
      const Vec w = load(values + begin + i);
      store(block + i, as_float(as_int(w) & (w >= kept.from)));
    }
    for (int64_t e = 0; e < kept.ties; e++)
      if (kept.places[e] / kBlock == chosen) block[kept.places[e] - begin] = kept.tie;
    const int32_t token = token_at(begin + invert<kBlock>(block, left));
    drawn = {token, draw_.log_prob(row_[token], reference, total)};
    return {};
  }

  const Row& row_;
  const Draw& draw_;
  DrawSpace& space_;
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
