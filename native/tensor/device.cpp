#include "tensor/device.h"

#include <atomic>
#include <mutex>

#include "cpu/backend.h"
#include "cuda/library.h"
#include "tensor/host_memory.h"
#include "tensor/memory_limit.h"

namespace cfgd {

uint64_t this_thread() {
  static std::atomic<uint64_t> threads{0};
  static thread_local const uint64_t number = ++threads;
  return number;
}

/// What stands for an error that there is no memory to describe.
static const std::shared_ptr<const Error>& no_memory() {
  static const auto* error = new std::shared_ptr<const Error>(
      std::make_shared<const Error>(CFGD_MEMORY, "", "out of memory"));
  return *error;
}

static std::shared_ptr<const Error> shared_error(const cfgd_status& status) {
  try {
    return std::make_shared<const Error>(status);
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
}

static Block* acquire(Device& device, uint64_t bytes) {
  try {
    return device.allocator().acquire(bytes);
  } catch (const Error& error) {
    if (error.code() != CFGD_MEMORY) throw;
  }
  // Cached blocks of other sizes may make room. Waiting for the queue is the price, paid only here.
  device.reclaim();
  return device.allocator().acquire(bytes);
}

Storage::Storage(Device& device, uint64_t bytes) : device_(device), bytes_(bytes), block_(acquire(device, bytes)) {}
Storage::~Storage() { device_.allocator().give_back(block_); }

static void* open(const cfgd_backend* backend, int index) {
  void* handle = nullptr;
  cfgd_status status{};
  if (backend->open(index, &handle, &status) != CFGD_OK) throw Error(status);
  return handle;
}

static std::mutex devices_mutex;
static std::vector<Device*>& made_devices() {
  static auto* devices = new std::vector<Device*>();
  return *devices;
}

Device::Device(const cfgd_backend* backend, int index, std::string id, uint64_t memory_limit)
    : backend_(backend),
      handle_(open(backend, index)),
      id_(std::move(id)),
      allocator_(backend, handle_, id_, memory_limit) {
  char text[256] = "";
  backend->describe(handle_, text, sizeof text);
  name_ = text;
  no_memory();  // is there when it is needed
  std::lock_guard lock(devices_mutex);
  made_devices().push_back(this);
}

Device& Device::cpu() {
  static Device* device = new Device(cpu_backend(), 0, "cpu", memory_limit_from_environment());
  return *device;
}

int Device::cuda_count() {
  int32_t count = 0;
  cfgd_status status{};
  if (cuda_backend()->device_count(&count, &status) != CFGD_OK) throw Error(status);
  return count;
}

namespace {
std::mutex cuda_mutex;
std::map<int, Device*>& cuda_devices() {
  static auto* devices = new std::map<int, Device*>();
  return *devices;
}
}  // namespace

Device& Device::cuda(int index) {
  std::lock_guard lock(cuda_mutex);
  Device*& device = cuda_devices()[index];
  if (!device) {
    const int count = cuda_count();
    if (index >= count)
      fail(CFGD_DEVICE, "device", "expected cuda:0 … cuda:%d, got cuda:%d", count - 1, index);
    device = new Device(cuda_backend(), index, "cuda:" + std::to_string(index), memory_limit_from_environment());
  }
  return *device;
}

bool Device::cuda_open(int index) {
  std::lock_guard lock(cuda_mutex);
  const auto found = cuda_devices().find(index);
  return found != cuda_devices().end() && found->second;
}

Tensor Device::empty(DType dtype, const Shape& shape) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = shape;
  Program* program = Program::recording();
  tensor.storage = program ? program->storage(*this, tensor.bytes()) : std::make_shared<Storage>(*this, tensor.bytes());
  return tensor;
}

Tensor Device::lasting(DType dtype, const Shape& shape) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.storage = std::make_shared<Storage>(*this, tensor.bytes());
  return tensor;
}

Tensor Device::upload(DType dtype, const Shape& shape, const void* bytes) {
  Tensor tensor = lasting(dtype, shape);
  write(tensor, bytes);
  return tensor;
}

void Device::renew(const Tensor& tensor) {
  enqueue([this, block = tensor.storage->block()] {
    block->poison = nullptr;
    note(0, block);
  });
}

void Device::write(const Tensor& tensor, const void* bytes) {
  const uint64_t size = tensor.bytes();
  const std::shared_ptr<char[]> copy = host_memory(size, "for a copy of the data");
  if (size) std::memcpy(copy.get(), bytes, size);  // an empty array may have no memory at all
  // A write to part of a storage leaves the rest as it was, its poison too.
  const bool whole = size == tensor.storage->bytes();
  enqueue([this, copy, size, whole, block = tensor.storage->block(), to = tensor.data<char>()] {
    cfgd_status status{};
    if (backend_->copy(handle_, to, copy.get(), size, CFGD_TO_DEVICE, &status) != CFGD_OK) {
      block->poison = shared_error(status);
      remember(who_, block->poison);
    } else if (whole) {
      block->poison = nullptr;
    } else {
      return;  // what launches before it have made of the block may yet turn out to have failed
    }
    note(0, block);
  });
}

void Device::run(const Command& command) {
  std::shared_ptr<const Error> poison;
  for (const Block* input : command.inputs)
    if (input->poison) {
      poison = input->poison;
      break;
    }
  cfgd_status status{};
  if (!poison) {
    if (backend_->launch(handle_, command.op.code(), command.args.data(),
                         static_cast<uint32_t>(command.args.size()), &status) != CFGD_OK) {
      poison = shared_error(status);
      remember(who_, poison);
    } else {
      note_author(status.launch);
    }
  }
  if (command.keeps_outputs) return;
  for (Block* output : command.outputs) {
    output->poison = poison;
    note(poison ? 0 : status.launch, output);
  }
}

// Only a device that works behind the host's back needs the log, and only until the host has caught up with it.
void Device::note(uint64_t launch, Block* block) {
  if (launch == 0 && written_.empty()) return;
  note({launch, block, block->poison, nullptr});
}

void Device::note(Written written) {
  written_.push_back(std::move(written));
  constexpr size_t kMany = 1 << 16;
  if (written_.size() < kMany) return;
  cfgd_status status{};
  backend_->synchronize(handle_, &status);
  settle(status);
}

// The host has caught up with the device: every launch has succeeded, or one has failed and those after it were not
// run. What they should have written is then poisoned, as if the error had come at once.
std::shared_ptr<const Error> Device::settle(const cfgd_status& status) {
  std::shared_ptr<const Error> error;
  if (status.code != CFGD_OK) {
    error = shared_error(status);
    for (const Written& w : written_) {
      if (!w.replay) {
        w.block->poison = w.launch && w.launch >= status.launch ? error : w.poison;
        continue;
      }
      for (const auto& [place, block] : *w.replay)
        block->poison = w.launch + place >= status.launch ? error : nullptr;
    }
    uint64_t author = who_;
    for (const auto& [first, thread] : authors_)
      if (first <= status.launch) author = thread;
    remember(author, error);
  }
  written_.clear();
  if (authors_.size() > 1) authors_.erase(authors_.begin(), authors_.end() - 1);
  return error;
}

void Device::remember(uint64_t who, const std::shared_ptr<const Error>& error) {
  try {
    untold_.emplace(who, error);
  } catch (const std::bad_alloc&) {  // then only the results tell
  }
}

void Device::note_author(uint64_t launch) {
  if (launch && (authors_.empty() || authors_.back().second != who_)) authors_.emplace_back(launch, who_);
}

std::shared_ptr<const Error> Device::read(const Tensor& tensor, void* host) {
  const Block* block = tensor.storage->block();
  std::shared_ptr<const Error> error;
  if (!block->poison) {
    cfgd_status status{};
    backend_->copy(handle_, host, tensor.data<char>(), tensor.bytes(), CFGD_TO_HOST, &status);
    error = settle(status);
    // The fault of some launch leaves what it did not write as it was; anything else means that the copy failed.
    if (status.launch) error = nullptr;
  }
  if (block->poison) error = block->poison;
  // Reported here, so synchronize() need not report it again.
  const auto untold = untold_.find(who_);
  if (error && untold != untold_.end() && untold->second == error) untold_.erase(untold);
  return error;
}

std::shared_ptr<const Error> Device::synchronize() {
  cfgd_status status{};
  backend_->synchronize(handle_, &status);
  settle(status);
  const auto untold = untold_.extract(who_);
  return untold ? untold.mapped() : nullptr;
}

void Device::leave() {
  std::lock_guard lock(devices_mutex);
  for (Device* device : made_devices()) device->enqueue([device] { device->untold_.erase(device->who_); });
}

void Device::release(const std::vector<Block*>& unused) {
  cfgd_status status{};
  backend_->synchronize(handle_, &status);
  settle(status);  // the log must not outlive the blocks
  allocator_.release(unused);
}

void Device::reclaim() {
  queue_.drain();  // jobs that are through let go of what only they held
  enqueue([this, unused = allocator_.take_unused()] { release(unused); });
  queue_.drain();
}

void Device::submit(Command command) {
  enqueue([this, command = std::move(command)] { run(command); });
}

void Device::replay(std::shared_ptr<Program> program) {
  enqueue([this, program = std::move(program)] { run(*program); });
}

void Device::run(Program& program) {
  if (run_graph(program)) return;
  for (const Command& command : program.commands()) run(command);
}

// As a graph only when that gives the same as the commands one by one: nothing that is read from outside is poisoned, so
// no command would be left out. The first run is by commands: what is made or loaded at a first use cannot be recorded.
bool Device::run_graph(Program& program) {
  if (!backend_->begin_graph || program.without_graph_) return false;
  program.analyse();
  for (const Block* block : program.reads_)
    if (block->poison) return false;
  if (!std::exchange(program.warm_, true)) return false;
  if (program.graph_ && program.graph_settings_ != settings_) {
    backend_->destroy_graph(handle_, program.graph_);
    program.graph_ = nullptr;
  }
  if (!program.graph_ && !record_graph(program)) {
    program.without_graph_ = true;
    return false;
  }
  cfgd_status status{};
  if (backend_->launch_graph(handle_, program.graph_, &status) == CFGD_OK) {
    for (const ProgramWrite& write : *program.writes_) write.block->poison = nullptr;
    note_author(status.launch);
    note({status.launch, nullptr, nullptr, program.writes_});
    return true;
  }
  const auto error = shared_error(status);
  remember(who_, error);
  for (const ProgramWrite& write : *program.writes_) {
    write.block->poison = error;
    note(0, write.block);
  }
  return true;
}

bool Device::record_graph(Program& program) {
  cfgd_status status{};
  if (backend_->begin_graph(handle_, &status) != CFGD_OK) return false;
  bool recorded = true;
  for (const Command& command : program.commands()) {
    recorded = backend_->launch(handle_, command.op.code(), command.args.data(),
                                static_cast<uint32_t>(command.args.size()), &status) == CFGD_OK;
    if (!recorded) break;
  }
  program.graph_settings_ = settings_;
  const bool ended = backend_->end_graph(handle_, recorded ? &program.graph_ : nullptr, &status) == CFGD_OK;
  return recorded && ended;
}

void Device::destroy_graph(void* graph) {
  enqueue([this, graph] { backend_->destroy_graph(handle_, graph); });
}

void Device::set_option(uint32_t option, int64_t value) {
  enqueue([this, option, value] {
    cfgd_status status{};
    if (backend_->set_option(handle_, option, value, &status) == CFGD_OK)
      settings_++;
    else
      remember(who_, shared_error(status));
  });
}

std::shared_ptr<const Error> Device::timer(int32_t action, double& milliseconds) {
  cfgd_status status{};
  if (backend_->timer(handle_, action, &milliseconds, &status) == CFGD_OK) return nullptr;
  return shared_error(status);
}

std::vector<uint32_t> Device::missing(const cfgd_backend* backend) {
  std::vector<uint32_t> codes;
  for (DType type : {DType::f32, DType::bf16})
    for (uint32_t op = 0; op < static_cast<uint32_t>(Op::count); op++) {
      const uint32_t code = Variant(static_cast<Op>(op), type).code();
      if (cpu_backend()->supports(code) && !backend->supports(code)) codes.push_back(code);
    }
  return codes;
}

}  // namespace cfgd
