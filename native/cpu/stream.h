// Stores that go past the cache. Included only from per-ISA files (see cpu/kernel.h).
//
// An ordinary store reads its line first, so that writing costs twice the memory traffic; these do not, but what they
// write is in no cache afterwards. They pay where the result would not stay in the last-level cache anyway.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/elements.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Bytes that an operation reads and writes from which on it had better stream what it writes.
constexpr int64_t kStreamedBytes = 32 << 20;
constexpr int64_t kLine = 64;

/// `p` is aligned to what is written; lines of memory are to be written whole, in order.
inline void stream_vector(void* p, Vec v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(static_cast<float*>(p), (__m512)v);
#elif defined(__AVX__)
  _mm256_stream_ps(static_cast<float*>(p), (__m256)v);
#elif defined(__SSE__)
  _mm_stream_ps(static_cast<float*>(p), (__m128)v);
#else
  std::memcpy(p, &v, sizeof v);
#endif
}
inline void stream(float* p, Vec v) { stream_vector(p, v); }
template <class T>
inline void stream(T* p, Vec v) {
  const HalfVec bits = narrowed_vector(v, T{});
#if defined(__AVX512F__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)bits);
#elif defined(__AVX__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)bits);
#elif defined(__SSE2__) && defined(__x86_64__)
  long long word;
  std::memcpy(&word, &bits, sizeof word);
  _mm_stream_si64(reinterpret_cast<long long*>(p), word);
#else
  std::memcpy(p, &bits, sizeof bits);
#endif
}
inline void stream_pair(float* p, Pair v) {
  stream_vector(p, v.first);
  stream_vector(p + kLanes, v.second);
}
inline void stream_pair(bf16* p, Pair v) { stream_vector(p, (Vec)narrowed_pair(v)); }
inline void stream_pair(f16* p, Pair v) {
  const HalfVec halves[2] = {narrowed_vector(v.first, f16{}), narrowed_vector(v.second, f16{})};
  Vec words;
  std::memcpy(&words, halves, sizeof words);
  stream_vector(p, words);
}

/// Makes what was streamed visible to other threads before whatever is stored next. Call it at the end of each chunk.
inline void finish_streaming() {
#if defined(__SSE__)
  _mm_sfence();
#endif
}

/// How many elements are written at a time where lines are to be written whole: those of a line, or of a vector.
template <class T>
constexpr int64_t kOfLine = kLine / static_cast<int64_t>(sizeof(T)) > kLanes ? kLine / static_cast<int64_t>(sizeof(T)) : kLanes;

/// How many elements come before the first whole line of memory, n at most.
template <class T>
inline int64_t before_line(const T* p, int64_t n) {
  const auto skew = static_cast<int64_t>(reinterpret_cast<uintptr_t>(p) % static_cast<uint64_t>(kLine));
  const int64_t head = skew ? (kLine - skew) / static_cast<int64_t>(sizeof(T)) : 0;
  return head < n ? head : n;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
