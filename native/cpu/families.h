// The operation families, once: each names the function register_<family>(CpuTable&) of its cpu.cpp.
#define CFGD_FAMILIES(X) \
  X(guidance)            \
  X(distill)             \
  X(diversity)           \
  X(merge)               \
  X(elementwise)         \
  X(matmul)              \
  X(attention)           \
  X(norm)                \
  X(embedding)           \
  X(activation)          \
  X(cross_entropy)       \
  X(optim)
