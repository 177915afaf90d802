// Page-locked memory through which host memory is copied to and from a device.
//
// A ring of chunks. Small uploads are packed into a chunk; large ones go through several, so that filling one overlaps
// with the copy out of another. A chunk is used again once the device has passed the event recorded behind its copies.
// Host code; one thread at a time.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "tensor/backend.h"

namespace cfgd {

class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Enqueues the copy. On return `from` may be reused; nothing waits for the device unless the whole ring is in use.
  int32_t upload(void* to, const void* from, uint64_t bytes, cudaStream_t stream, cfgd_status* status);
  /// Copies everything but the last part, which `finish` brings to the host: what is enqueued in between needs no
  /// waiting of its own.
  struct Part {
    int chunk = -1;
    char* to = nullptr;
    uint64_t bytes = 0;
  };
  int32_t download(void* to, const void* from, uint64_t bytes, cudaStream_t stream, Part* last, cfgd_status* status);
  int32_t finish(const Part& part, cfgd_status* status);
  /// Frees the chunks; nothing may be on its way.
  void free();

 private:
  static constexpr size_t kChunk = size_t{4} << 20, kAlignment = 256;
  static constexpr int kChunks = 4;

  struct Chunk {
    char* memory = nullptr;
    cudaEvent_t passed = nullptr;
    bool in_use = false;  // until the event is passed
  };

  int32_t next(cudaStream_t stream, cfgd_status* status);
  int32_t mark(cudaStream_t stream, cfgd_status* status);

  Chunk chunks_[kChunks];
  int current_ = -1;
  size_t filled_ = 0;  // of the current chunk
};

}  // namespace cfgd
