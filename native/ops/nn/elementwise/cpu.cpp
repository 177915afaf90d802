#include "ops/nn/elementwise/elementwise.h"

#include "cpu/kernel.h"
#include "ops/nn/elementwise/dropout.h"
#include "ops/nn/reduce.h"
#include "tensor/element.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 32768;  // elements: some 20 µs of moving memory

int32_t fill(const FillArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) a.out[i] = a.bits;
  });
  return CFGD_OK;
}

int32_t add(const AddArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors(begin, end, [&](int64_t i, int lanes) {
      store_some(a.out + i, load_some(a.a + i, lanes, 0) + load_some(a.b + i, lanes, 0), lanes);
    });
  });
  return CFGD_OK;
}

int32_t accumulate(const AccumulateArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors(begin, end, [&](int64_t i, int lanes) {
      store_some(a.target + i, load_some(a.target + i, lanes, 0) + load_some(a.source + i, lanes, 0) * a.factor, lanes);
    });
  });
  return CFGD_OK;
}

int32_t scale(const ScaleArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors(begin, end, [&](int64_t i, int lanes) {
      store_some(a.out + i, load_some(a.x + i, lanes, 0) * a.factor, lanes);
    });
  });
  return CFGD_OK;
}

int32_t sum_rows(const SumRowsArgs& a, const Parallel& parallel, cfgd_status*) {
  // Tiles of rows × columns; a tile's partial row stays in the first-level cache.
  constexpr int64_t kRows = 256, kColumns = 2048;
  const int64_t row_chunks = (a.rows + kRows - 1) / kRows, blocks = (a.n + kColumns - 1) / kColumns;
  const int64_t tile = (a.rows < kRows ? a.rows : kRows) * (a.n < kColumns ? a.n : kColumns);
  static thread_local Scratch scratch;
  float* partials = row_chunks > 1 ? scratch.get<float>(row_chunks * a.n) : a.out;
  if (row_chunks == 0)
    for (int64_t j = 0; j < a.n; j++) a.out[j] = 0;
  parallel(row_chunks * blocks, kGrain / (tile + 1) + 1, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; t++) {
      const int64_t chunk = t / blocks, left = t % blocks * kColumns;
      const int64_t width = a.n - left < kColumns ? a.n - left : kColumns;
      const int64_t top = chunk * kRows, bottom = top + kRows < a.rows ? top + kRows : a.rows;
      float* sums = partials + chunk * a.n + left;
      std::memcpy(sums, a.x + top * a.n + left, width * sizeof(float));
      for (int64_t r = top + 1; r < bottom; r++) {
        const float* row = a.x + r * a.n + left;
        for_vectors(0, width, [&](int64_t j, int lanes) {
          store_some(sums + j, load_some(sums + j, lanes, 0) + load_some(row + j, lanes, 0), lanes);
        });
      }
    }
  });
  if (row_chunks > 1) combine_chunks(partials, row_chunks, a.n, a.out, a.n, parallel);
  return CFGD_OK;
}

/// Σ x over [0, n): in float where at most 64 are added in turn, then lanes, then in double. As fast as memory is read.
double sum_of(const float* x, int64_t n) {
  constexpr int64_t kSums = 8, kStep = kSums * kLanes, kChunk = 64 * kStep;
  double total = 0;
  int64_t begin = 0;
  while (n - begin >= kStep) {
    const int64_t end = n - begin < kChunk ? begin + (n - begin) / kStep * kStep : begin + kChunk;
    Vec sums[kSums] = {};
    for (; begin < end; begin += kStep)
      for (int64_t k = 0; k < kSums; k++) sums[k] += load(x + begin + k * kLanes);
    for (int64_t k = 1; k < kSums; k++) sums[0] += sums[k];
    total += reduce_add(sums[0]);
  }
  return total + lane_sum(n - begin, [&](int64_t i, int lanes) { return load_some(x + begin + i, lanes, 0); });
}

int32_t sum_all(const SumAllArgs& a, const Parallel& parallel, cfgd_status*) {
  constexpr int64_t kChunk = 16384;
  const int64_t chunks = (a.n + kChunk - 1) / kChunk;
  static thread_local Scratch scratch;
  double* partials = scratch.get<double>(chunks + 1);
  parallel(a.n, kChunk, [&](int64_t begin, int64_t end) { partials[begin / kChunk] = sum_of(a.x + begin, end - begin); });
  double total = 0;
  for (int64_t c = 0; c < chunks; c++) total += partials[c];
  a.out[0] = static_cast<float>(total);
  return CFGD_OK;
}

int32_t repeat_rows(const RepeatRowsArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.rows * a.times, kGrain / (a.n + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++)
      std::memcpy(a.out + r * a.n, a.x + r / a.times * a.n, a.n * sizeof(uint32_t));
  });
  return CFGD_OK;
}

int32_t dropout(const DropoutArgs& a, const Parallel& parallel, cfgd_status*) {
  typedef uint32_t UVec __attribute__((vector_size(kLanes * 4)));
  constexpr int64_t kChunk = 8192, kWords = DropoutWords::kWords;
  static_assert(kChunk % kWords == 0 && kWords % kLanes == 0);
  const DropoutWords random(a.seed, a.stream);
  const auto threshold = static_cast<uint32_t>(a.probability * 4294967296.0);
  const auto factor = static_cast<float>(1 / (1 - a.probability));
  parallel(a.n, kChunk, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kWords];
    for (int64_t i = begin; i < end; i += kWords) {
      random.at(i, words);
      for_vectors(0, end - i < kWords ? end - i : kWords, [&](int64_t j, int lanes) {
        UVec word;
        std::memcpy(&word, words + j, sizeof word);  // whole also for the last few lanes: there are kWords
        const Vec x = load_some(a.x + i + j, lanes, 0);
        store_some(a.out + i + j, word >= threshold ? x * factor : Vec{}, lanes);
      });
    }
  });
  return CFGD_OK;
}

template <class From, class To>
void cast_range(const CastArgs& a, int64_t begin, int64_t end) {
  const auto* x = static_cast<const From*>(a.x);
  auto* out = static_cast<To*>(a.out);
  for (int64_t i = begin; i < end; i++) out[i] = narrowed<To>(widened(x[i]));
}

template <class From>
void cast_range(const CastArgs& a, int64_t begin, int64_t end) {
  switch (a.to) {
    case DType::f16: return cast_range<From, f16>(a, begin, end);
    case DType::bf16: return cast_range<From, bf16>(a, begin, end);
    default: return cast_range<From, float>(a, begin, end);
  }
}

int32_t cast(const CastArgs& a, const Parallel& parallel, cfgd_status*) {
  parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
    switch (a.from) {
      case DType::f16: return cast_range<f16>(a, begin, end);
      case DType::bf16: return cast_range<bf16>(a, begin, end);
      default: return cast_range<float>(a, begin, end);
    }
  });
  return CFGD_OK;
}

int32_t row_positions(const RowPositionsArgs& a, const Parallel& parallel, cfgd_status*) {
  const int64_t position = *a.position;
  parallel(a.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t steps = position - a.starts[r];
      a.out[r] = steps < 0 ? 0 : steps > INT32_MAX ? INT32_MAX : static_cast<int32_t>(steps);
    }
  });
  return CFGD_OK;
}

int32_t advance(const AdvanceArgs& a, const Parallel&, cfgd_status* status) {
  int32_t sum;
  if (__builtin_add_overflow(*a.counter, a.by, &sum))
    return cfgd_fail(status, CFGD_VALUE, "counter", "expected a sum within int32, got %d + %d", *a.counter, a.by);
  *a.counter = sum;
  return CFGD_OK;
}

}  // namespace

void register_elementwise(CpuTable& table) {
  set<FillArgs, fill>(table, Op::fill);
  set<AddArgs, add>(table, Op::add);
  set<AccumulateArgs, accumulate>(table, Op::accumulate);
  set<ScaleArgs, scale>(table, Op::scale);
  set<SumRowsArgs, sum_rows>(table, Op::sum_rows);
  set<SumAllArgs, sum_all>(table, Op::sum_all);
  set<RepeatRowsArgs, repeat_rows>(table, Op::repeat_rows);
  set<DropoutArgs, dropout>(table, Op::dropout);
  set<CastArgs, cast>(table, Op::cast);
  set<RowPositionsArgs, row_positions>(table, Op::row_positions);
  set<AdvanceArgs, advance>(table, Op::advance);
}

}  // namespace cfgd::CFGD_ISA
