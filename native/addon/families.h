// The bindings of each operation family, and of what measures the functions they are made of; one file each, named
// after it.
#pragma once
#include <napi.h>

namespace cfgd {

void export_accuracy(Napi::Object exports);
void export_guidance(Napi::Object exports);
void export_distill(Napi::Object exports);
void export_diversity(Napi::Object exports);
void export_merge(Napi::Object exports);
void export_elementwise(Napi::Object exports);
void export_matmul(Napi::Object exports);
void export_attention(Napi::Object exports);
void export_norm(Napi::Object exports);
void export_embedding(Napi::Object exports);
void export_activation(Napi::Object exports);
void export_cross_entropy(Napi::Object exports);
void export_optim(Napi::Object exports);

inline void export_families(Napi::Object exports) {
  export_accuracy(exports);
  export_guidance(exports);
  export_distill(exports);
  export_diversity(exports);
  export_merge(exports);
  export_elementwise(exports);
  export_matmul(exports);
  export_attention(exports);
  export_norm(exports);
  export_embedding(exports);
  export_activation(exports);
  export_cross_entropy(exports);
  export_optim(exports);
}

}  // namespace cfgd
