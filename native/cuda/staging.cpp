#include "cuda/staging.h"

#include <cstring>

#include "cuda/kernel.h"

namespace cfgd {

/// Records the event of the current chunk behind what was enqueued on it.
int32_t Staging::mark(cudaStream_t stream, cfgd_status* status) {
  if (current_ < 0 || filled_ == 0) return CFGD_OK;
  Chunk& chunk = chunks_[current_];
  filled_ = kChunk;  // nothing more goes in
  chunk.in_use = true;
  return cuda_check(cudaEventRecord(chunk.passed, stream), "marking a staging buffer", status);
}

/// Goes on to the next chunk of the ring, which is empty then.
int32_t Staging::next(cudaStream_t stream, cfgd_status* status) {
  if (int32_t code = mark(stream, status)) return code;
  const int index = (current_ + 1) % kChunks;
  Chunk& chunk = chunks_[index];
  if (!chunk.memory) {
    void* memory = nullptr;
    if (int32_t code = cuda_check(cudaMallocHost(&memory, kChunk), "allocating page-locked memory", status)) return code;
    chunk.memory = static_cast<char*>(memory);
  }
  if (!chunk.passed) {
    if (int32_t code =
            cuda_check(cudaEventCreateWithFlags(&chunk.passed, cudaEventDisableTiming), "making an event", status))
      return code;
  }
  if (chunk.in_use) {
    if (int32_t code = cuda_check(cudaEventSynchronize(chunk.passed), "waiting for a staging buffer", status))
      return code;
    chunk.in_use = false;
  }
  current_ = index;
  filled_ = 0;
  return CFGD_OK;
}

int32_t Staging::upload(void* to, const void* from, uint64_t bytes, cudaStream_t stream, cfgd_status* status) {
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t left = bytes - done;
    // What does not fit into the rest of a chunk is cut only if it is larger than a chunk anyway.
    if (current_ < 0 || filled_ == kChunk || (left > kChunk - filled_ && filled_ > 0)) {
      if (int32_t code = next(stream, status)) return code;
    }
    const uint64_t room = kChunk - filled_, part = left < room ? left : room;
    char* staged = chunks_[current_].memory + filled_;
    std::memcpy(staged, static_cast<const char*>(from) + done, part);
    const cudaError_t error =
        cudaMemcpyAsync(static_cast<char*>(to) + done, staged, part, cudaMemcpyHostToDevice, stream);
    if (error != cudaSuccess) return cuda_check(error, "copying to the device", status);
    const size_t end = filled_ + part + kAlignment - 1;
    filled_ = end / kAlignment * kAlignment < kChunk ? end / kAlignment * kAlignment : kChunk;
    done += part;
  }
  return CFGD_OK;
}

// One part is copied out of its chunk while the device fills the next.
int32_t Staging::download(void* to, const void* from, uint64_t bytes, cudaStream_t stream, Part* last,
                          cfgd_status* status) {
  *last = {};
  for (uint64_t done = 0; done < bytes;) {
    if (int32_t code = next(stream, status)) return code;
    const uint64_t part = bytes - done < kChunk ? bytes - done : kChunk;
    const cudaError_t error = cudaMemcpyAsync(chunks_[current_].memory, static_cast<const char*>(from) + done, part,
                                              cudaMemcpyDeviceToHost, stream);
    if (error != cudaSuccess) return cuda_check(error, "copying to the host", status);
    filled_ = kChunk;
    if (int32_t code = mark(stream, status)) return code;
    if (int32_t code = finish(*last, status)) return code;
    *last = {current_, static_cast<char*>(to) + done, part};
    done += part;
  }
  return CFGD_OK;
}

int32_t Staging::finish(const Part& part, cfgd_status* status) {
  if (part.chunk < 0) return CFGD_OK;
  Chunk& chunk = chunks_[part.chunk];
  if (int32_t code = cuda_check(cudaEventSynchronize(chunk.passed), "copying to the host", status)) return code;
  chunk.in_use = false;
  std::memcpy(part.to, chunk.memory, part.bytes);
  return CFGD_OK;
}

void Staging::free() {
  for (Chunk& chunk : chunks_) {
    if (chunk.passed) cudaEventDestroy(chunk.passed);
    if (chunk.memory) cudaFreeHost(chunk.memory);
    chunk = {};
  }
  current_ = -1;
}

}  // namespace cfgd
