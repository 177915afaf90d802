// Streams, events and graphs of the emulated CUDA runtime: lists of work that wait until something synchronises.
#include <cstdio>

#include "cuda/emulation/runtime.h"

namespace cfgd::emulation {
namespace {

thread_local cudaStream_t capturing = nullptr;  // that this thread captures
thread_local cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;

}  // namespace

bool breaks_capture() {
  if (!capturing || capture_mode == cudaStreamCaptureModeRelaxed) return false;
  capturing->capture_error = cudaErrorStreamCaptureInvalidated;
  return true;
}

cudaError_t submit(Runtime& r, cudaStream_t stream, const char* word, EmulatedWork work) {
  if (stream->device != current_device()) return cudaErrorInvalidResourceHandle;
  if (stream->capture) {
    if (at_fault("no-capture")) stream->capture_error = cudaErrorStreamCaptureUnsupported;
    if (stream->capture_error != cudaSuccess) return stream->capture_error;
    stream->capture->work.push_back(std::move(work));
    return cudaSuccess;
  }
  if (r.devices[stream->device].lost != cudaSuccess) return r.devices[stream->device].lost;
  trace(word);
  stream->work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t flush(Runtime& r, cudaStream_t stream, const cfgd_emulated_event* until) {
  cudaError_t& lost = r.devices[stream->device].lost;
  while (!stream->work.empty() && !(until && until->done == until->recorded)) {
    EmulatedWork work = std::move(stream->work.front());
    stream->work.pop_front();
    if (lost != cudaSuccess) continue;
    try {
      work();
    } catch (const LaunchFailure& failure) {
      std::snprintf(r.why, sizeof r.why, "unspecified launch failure: %s", failure.what());
      lost = cudaErrorLaunchFailure;
    }
  }
  return noted(lost);
}

}  // namespace cfgd::emulation

// For a library that stands in for one of NVIDIA's: puts its work into a stream, to run when its turn comes.
extern "C" __attribute__((visibility("default"))) int cfgd_emulation_enqueue(void* stream, void (*work)(void*),
                                                                            void* context, void (*discard)(void*)) {
  cfgd::emulation::Runtime& r = cfgd::emulation::runtime();
  std::lock_guard lock(r.mutex);
  const std::shared_ptr<void> owned(context, discard);
  return cfgd::emulation::noted(cfgd::emulation::submit(r, static_cast<cudaStream_t>(stream), "library",
                                                        [work, owned] { work(owned.get()); }));
}

using namespace cfgd::emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  *stream = new cfgd_emulated_stream();
  (*stream)->device = current_device();
  r.streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  const cudaError_t error = flush(r, stream);
  r.streams.erase(stream);
  delete stream;
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (breaks_capture()) return noted(cudaErrorStreamCaptureUnsupported);
  trace("wait");
  return flush(r, stream);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new cfgd_emulated_event();
  (*event)->device = current_device();
  (*event)->timed = !(flags & cudaEventDisableTiming);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (event->stream && r.streams.count(event->stream)) flush(r, event->stream, event);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (event->device != stream->device) return noted(cudaErrorInvalidResourceHandle);
  const uint64_t turn = event->recorded + 1;
  const cudaError_t error = submit(r, stream, "event", [event, turn] {
    event->done = turn;
    event->time = std::chrono::steady_clock::now();
  });
  if (error != cudaSuccess) return noted(error);
  event->recorded = turn;
  event->stream = stream;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (breaks_capture()) return noted(cudaErrorStreamCaptureUnsupported);
  return event->stream ? flush(r, event->stream, event) : cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  for (cudaEvent_t event : {start, stop})
    if (!event->timed || !event->recorded || event->done != event->recorded)
      return noted(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(stop->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (at_fault("no-graphs")) return noted(cudaErrorNotSupported);
  if (stream->capture || capturing) return noted(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_unique<cfgd_emulated_graph>();
  stream->capture_error = cudaSuccess;
  capturing = stream;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, capture_mode);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  *graph = nullptr;
  if (!stream->capture) return noted(cudaErrorInvalidValue);
  std::unique_ptr<cfgd_emulated_graph> captured = std::move(stream->capture);
  capturing = nullptr;
  if (stream->capture_error != cudaSuccess) return noted(stream->capture_error);
  *graph = captured.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new cfgd_emulated_executable();
  (*executable)->device = current_device();
  (*executable)->work = std::make_shared<const std::vector<EmulatedWork>>(graph->work);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (executable->device != stream->device) return noted(cudaErrorInvalidResourceHandle);
  return noted(submit(r, stream, "graph", [work = executable->work, alive = executable->alive] {
    if (!*alive) throw LaunchFailure("a graph was destroyed before it had run");
    for (const EmulatedWork& item : *work) item();
  }));
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  *executable->alive = false;
  delete executable;
  return cudaSuccess;
}
