#include "tensor/program.h"

#include "tensor/device.h"

namespace cfgd {

static thread_local Program* current = nullptr;

Program* Program::recording() { return current; }
void Program::set_recording(Program* program) { current = program; }

Program::~Program() {
  if (graph_) device_->destroy_graph(graph_);
}

void Program::add(Device& device, Command command) {
  if (device_ && device_ != &device)
    fail(CFGD_DEVICE, "program", "expected operations on one device, got some on %s and some on %s",
         device_->id().c_str(), device.id().c_str());
  device_ = &device;
  commands_.push_back(std::move(command));
}

void Program::hold(const std::shared_ptr<Storage>& storage) {
  if (!all_made_.count(storage.get())) held_.emplace(storage.get(), storage);
}

std::shared_ptr<Storage> Program::storage(Device& device, uint64_t bytes) {
  const auto [begin, end] = made_.equal_range(bytes);
  for (auto i = begin; i != end; i++)
    if (i->second.use_count() == 1 && &i->second->device() == &device) return i->second;
  auto made = std::make_shared<Storage>(device, bytes);
  all_made_.insert(made.get());
  made_.emplace(bytes, made);
  return made;
}

void Program::analyse() {
  if (analysed_) return;
  analysed_ = true;
  auto writes = std::make_shared<std::vector<ProgramWrite>>();
  std::unordered_set<Block*> read, written;
  for (uint64_t i = 0; i < commands_.size(); i++) {
    const Command& command = commands_[i];
    for (Block* block : command.inputs)
      if (!written.count(block) && read.insert(block).second) reads_.push_back(block);
    if (command.keeps_outputs) continue;
    for (Block* block : command.outputs) {
      written.insert(block);
      writes->push_back({i, block});
    }
  }
  writes_ = std::move(writes);
}

}  // namespace cfgd
