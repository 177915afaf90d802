// One row of the distillation loss, or a team's share of one, by one block of threads. Device code. Formulas: distill.h.
//
// Visits of the row: combine the teacher's branches and find the largest logits; sum; write the gradient. A row that is
// cached is read from memory by the first of them only; each thread later visits what it has cached itself.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "cuda/pack.cuh"
#include "ops/distill/distill.h"
#include "ops/guidance/combine.cuh"

namespace cfgd {

/// Stands for −∞ in logits relative to the largest: e to this is 0, and unlike ∞ it may be multiplied by 0 and
/// subtracted from itself.
constexpr float kFloor = -1e30f;

template <class T, bool kCached>
struct DistillRow {
  static constexpr int kCount = kPack<T>;

  const T* student;
  const T* cond;
  const T* uncond;  // cond itself where there is no guidance
  T* grad;
  int length, head, packed;  // elements: of all; before the first pack; in packs
  Guidance guidance;
  float* guided;   // cached: combined logits, −∞ outside the support
  T* student_kept;   // cached

  /// Bytes of shared memory for `length` elements.
  static constexpr size_t cache_bytes(int64_t length) {
    return static_cast<size_t>(length + 2 * kCount) * (sizeof(float) + sizeof(T));
  }

  /// Finds out which elements can be moved 16 bytes at a time, and places the caches so that they are aligned there,
  /// too. `memory` is aligned.
  __device__ void lay_out(unsigned char* memory) {
    const uintptr_t mine = reinterpret_cast<uintptr_t>(student) & 15;
    const bool alike = mine == (reinterpret_cast<uintptr_t>(cond) & 15) &&
                       mine == (reinterpret_cast<uintptr_t>(uncond) & 15) &&
                       mine == (reinterpret_cast<uintptr_t>(grad) & 15);
    head = static_cast<int>((16 - mine) % 16 / sizeof(T));
    head = head < length ? head : length;
    packed = alike ? (length - head) / kCount * kCount : 0;
    if (kCached) {
      const int room = (length + 2 * kCount - 1) / kCount * kCount;  // of either cache
      guided = reinterpret_cast<float*>(memory) + (kCount - head % kCount);
      student_kept = reinterpret_cast<T*>(reinterpret_cast<float*>(memory) + room + kCount) + (kCount - head % kCount);
    }
  }

  /// Elements that are moved together, as they come from memory.
  template <int kElements>
  __device__ void read(int i, float (&z)[kElements], float (&c)[kElements], float (&u)[kElements]) const {
    if constexpr (kElements == kCount) {
      load_pack(student + i, z);
      load_pack(cond + i, c);
      if (guidance.guided) return load_pack(uncond + i, u);
    } else {
      z[0] = widened(student[i]), c[0] = widened(cond[i]);
      u[0] = widened(uncond[i]);
    }
    if constexpr (kElements == kCount) {
#pragma unroll
      for (int k = 0; k < kElements; k++) u[k] = 0;
    }
  }

  /// The guided logit of an element, −∞ outside the support.
  __device__ float combined(float z, float c, float u) const { return z == -INFINITY ? z : guidance(c, u); }
  __device__ bool bad(float z, float c, float u) const {
    return !(z < INFINITY) || guidance.bad(c, u, guidance(c, u));
  }

  /// An element's student and guided logit, after the first visit.
  template <int kElements>
  __device__ void recall(int i, float (&z)[kElements], float (&g)[kElements]) const {
    if constexpr (!kCached) {
      float c[kElements], u[kElements];
      read(i, z, c, u);
#pragma unroll
      for (int k = 0; k < kElements; k++) g[k] = combined(z[k], c[k], u[k]);
    } else if constexpr (kElements == 1) {
      z[0] = widened(student_kept[i]), g[0] = guided[i];
    } else {
      load_pack(student_kept + i, z);
#pragma unroll
      for (int k = 0; k < kElements; k += 4) {
        const float4 four = *reinterpret_cast<const float4*>(guided + i + k);
        g[k] = four.x, g[k + 1] = four.y, g[k + 2] = four.z, g[k + 3] = four.w;
      }
    }
  }
  template <int kElements>
  __device__ void keep(int i, const float (&z)[kElements], const float (&g)[kElements]) const {
    if constexpr (kElements == 1) {
      student_kept[i] = narrowed<T>(z[0]), guided[i] = g[0];
    } else {
      store_pack(student_kept + i, z);
#pragma unroll
      for (int k = 0; k < kElements; k += 4)
        *reinterpret_cast<float4*>(guided + i + k) = {g[k], g[k + 1], g[k + 2], g[k + 3]};
    }
  }

  template <int kElements>
  __device__ void write(int i, const float (&x)[kElements]) const {
    if constexpr (kElements == 1)
      grad[i] = narrowed<T>(x[0]);
    else
      store_pack(grad + i, x);
  }

  /// A number of elements as a type.
  template <int kElements>
  struct Several {
    static constexpr int value = kElements;
  };

  /// body(i, Several<n>()) for this thread's share of the elements: the n from i on, n being kCount or 1.
  template <int kThreads, class Body>
  __device__ void visit(const Body& body) const {
    for (int i = kCount * static_cast<int>(threadIdx.x); i < packed; i += kCount * kThreads) body(head + i, Several<kCount>());
    visit_singles<kThreads>(body);
  }
  /// What is not in packs.
  template <int kThreads, class Body>
  __device__ void visit_singles(const Body& body) const {
    const int before = packed ? head : 0, singles = length - packed;
    for (int s = static_cast<int>(threadIdx.x); s < singles; s += kThreads) body(s < before ? s : packed + s, Several<1>());
  }

  /// The first visit. largest: of the student's logits in the support, of the teacher's, and 1 if an element is at
  /// fault (else 0).
  template <int kThreads>
  __device__ void combine(float (&largest)[3]) const {
    largest[0] = largest[1] = -INFINITY;
    largest[2] = 0;
    const auto take = [&](int i, auto& z, auto& c, auto& u) {
      constexpr int kElements = sizeof z / sizeof z[0];
#pragma unroll
      for (int k = 0; k < kElements; k++) {
        const float mixed = guidance(c[k], u[k]);
        if (!(z[k] < INFINITY) || guidance.bad(c[k], u[k], mixed)) largest[2] = 1;
        c[k] = z[k] == -INFINITY ? -INFINITY : mixed;
        largest[0] = fmaxf(largest[0], c[k] == -INFINITY ? -INFINITY : z[k]);
        largest[1] = fmaxf(largest[1], c[k]);
      }
      if constexpr (kCached) keep(i, z, c);
    };
    // Two packs of each input are under way before the first is used.
    int i = kCount * static_cast<int>(threadIdx.x);
    for (; i + kCount * kThreads < packed; i += 2 * kCount * kThreads) {
      const int first = head + i, second = first + kCount * kThreads;
      float z[2][kCount], c[2][kCount], u[2][kCount];
      read(first, z[0], c[0], u[0]);
      read(second, z[1], c[1], u[1]);
      take(first, z[0], c[0], u[0]);
      take(second, z[1], c[1], u[1]);
    }
    const auto one = [&](int at, auto several) {
      float z[several.value], c[several.value], u[several.value];
      read(at, z, c, u);
      take(at, z, c, u);
    };
    if (i < packed) one(head + i, Several<kCount>());
    visit_singles<kThreads>(one);
  }

  /// The lowest element at fault, as its distance from `past`, which is more; 0 if there is none.
  template <int kThreads>
  __device__ unsigned first_fault(unsigned past) const {
    unsigned found = 0;
    for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads) {
      const float u = guidance.guided ? widened(uncond[i]) : 0.0f;
      const unsigned distance = past - static_cast<unsigned>(i);
      if (bad(widened(student[i]), widened(cond[i]), u)) found = found > distance ? found : distance;
    }
    return found;
  }
};

/// Student and teacher relative to their largest, times 1 / T; kFloor outside the support.
struct Relative {
  float student_max, teacher_max, inverse_temperature;
  __device__ float student(float z, float g) const {
    return g == -INFINITY ? kFloor : fmaxf((z - student_max) * inverse_temperature, kFloor);
  }
  __device__ float teacher(float g) const { return fmaxf((g - teacher_max) * inverse_temperature, kFloor); }
};

/// What the Jensen-Shannon divergence needs of a token: log(p / m) and log(q / m).
struct JsdTerm {
  float p_m, q_m;
  /// `delta` is log(p / q). m / p = 1 + w (e^−δ − 1) for δ ≥ 0, m / q = 1 + (1 − w) (e^δ − 1) below: no exponential can
  /// overflow, and equal distributions give exactly 0.
  __device__ static JsdTerm of(float delta, float w) {
    const bool above = delta >= 0;
    const float share = logf(1 + (above ? w : 1 - w) * (expf(above ? -delta : delta) - 1));
    return {(above ? 0 : delta) - share, (above ? -delta : 0) - share};
  }
};

/// What a thread adds to the sums of a row: few terms each time and few times, so that float32 will do.
template <int kSums>
struct ThreadSums {
  float of[kSums] = {};

  __device__ void add(const float (&terms)[kSums]) {
#pragma unroll
    for (int i = 0; i < kSums; i++) of[i] += terms[i];
  }
};

}  // namespace cfgd
