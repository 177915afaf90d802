#pragma once

namespace cfgd {
/// Keeps this library in the process. Execution threads outlive the environments, and Node closes a library with the last
/// worker that loaded it.
void stay_loaded();
}  // namespace cfgd
