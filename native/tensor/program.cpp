#include "tensor/program.h"

#include <unordered_set>

#include "tensor/device.h"

namespace cfgd {

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
