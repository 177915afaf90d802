// Several blocks that work on one row: a cluster of blocks (compute capability 9.0 and newer), which can read each
// other's shared memory, or a single block. Device code.
#pragma once
#include <cuda_runtime.h>

#if defined(__CUDACC__)
#include <cooperative_groups.h>
#endif

#include <cstdint>

#include "cuda/reduce.cuh"

namespace cfgd {

/// Blocks with consecutive numbers; `size` is 1 where there are no clusters.
struct Team {
  int rank, size;

  __device__ static Team of_size(int size) { return {static_cast<int>(blockIdx.x % static_cast<unsigned>(size)), size}; }

  /// Every thread of every block comes here; what was written to shared memory before is seen after it. Also the last
  /// thing that a block of a team does, since the others may still read from it.
  __device__ void synchronize() const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (size > 1) cooperative_groups::this_cluster().sync();
#endif
  }
};

/// As reduce_block, over the threads of all blocks of a team, the blocks in their order.
template <class Combine, int kThreads, int kValues, class V>
__device__ void reduce_team([[maybe_unused]] const Team& team, V (&values)[kValues], int& phase) {
  [[maybe_unused]] const int half = phase & 1;
  reduce_block<Combine, kThreads>(values, phase);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if (team.size == 1) return;
  // Two sets, as in reduce_block: who overwrites one has passed the barrier of the other.
  __shared__ V shared[2][kValues];
  if (threadIdx.x == 0) {
#pragma unroll
    for (int i = 0; i < kValues; i++) shared[half][i] = values[i];
  }
  team.synchronize();
  const auto cluster = cooperative_groups::this_cluster();
  for (int rank = 0; rank < team.size; rank++) {
    const V* theirs = cluster.map_shared_rank(&shared[half][0], static_cast<unsigned>(rank));
#pragma unroll
    for (int i = 0; i < kValues; i++) values[i] = rank ? Combine::of(values[i], theirs[i]) : theirs[i];
  }
#endif
}

}  // namespace cfgd
