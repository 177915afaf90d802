{
  "variables": {
    "san%": "",
    "core_sources": [
      "native/addon/accuracy.cpp",
      "native/addon/activation.cpp",
      "native/addon/addon.cpp",
      "native/addon/arguments.cpp",
      "native/addon/attention.cpp",
      "native/addon/cross_entropy.cpp",
      "native/addon/device.cpp",
      "native/addon/distill.cpp",
      "native/addon/diversity.cpp",
      "native/addon/elementwise.cpp",
      "native/addon/embedding.cpp",
      "native/addon/environment.cpp",
      "native/addon/guidance.cpp",
      "native/addon/matmul.cpp",
      "native/addon/merge.cpp",
      "native/addon/norm.cpp",
      "native/addon/optim.cpp",
      "native/addon/program.cpp",
      "native/addon/stay_loaded.cpp",
      "native/addon/tensor_object.cpp",
      "native/cpu/backend.cpp",
      "native/cpu/isa.cpp",
      "native/cpu/profile.cpp",
      "native/cpu/widened.cpp",
      "native/cuda/library.cpp",
      "native/tensor/allocator.cpp",
      "native/tensor/device.cpp",
      "native/tensor/program.cpp",
      "native/tensor/queue.cpp",
      "native/tensor/thread_pool.cpp"
    ],
    # Compiled once per instruction set; see native/cpu/kernel.h.
    "kernel_sources": [
      "native/cpu/accuracy.cpp",
      "native/ops/distill/cpu.cpp",
      "native/ops/diversity/cpu.cpp",
      "native/ops/guidance/cpu.cpp",
      "native/ops/merge/cpu.cpp",
      "native/ops/nn/activation/cpu.cpp",
      "native/ops/nn/attention/cpu.cpp",
      "native/ops/nn/cross_entropy/cpu.cpp",
      "native/ops/nn/elementwise/cpu.cpp",
      "native/ops/nn/embedding/cpu.cpp",
      "native/ops/nn/matmul/cpu.cpp",
      "native/ops/nn/norm/cpu.cpp",
      "native/ops/optim/cpu.cpp"
    ],
    # Read by CMakeLists.txt and scripts/build-emulation.mjs: libcfgdistill_cuda.so, and what stands in for the CUDA
    # runtime when it is built for the emulated device.
    "cuda_sources": [
      "native/cuda/backend.cpp",
      "native/cuda/check.cpp",
      "native/cuda/cublaslt.cpp",
      "native/cuda/cublaslt_library.cpp",
      "native/cuda/graph.cu",
      "native/cuda/memory.cpp",
      "native/cuda/open.cpp",
      "native/cuda/report.cpp",
      "native/cuda/settle.cpp",
      "native/cuda/staging.cpp",
      "native/ops/distill/cuda.cu",
      "native/ops/diversity/cuda.cu",
      "native/ops/guidance/cuda.cu",
      "native/ops/merge/cuda.cu",
      "native/ops/nn/activation/cuda.cu",
      "native/ops/nn/attention/cuda.cu",
      "native/ops/nn/attention/cuda_mma.cu",
      "native/ops/nn/cross_entropy/cuda.cu",
      "native/ops/nn/elementwise/cuda.cu",
      "native/ops/nn/embedding/cuda.cu",
      "native/ops/nn/matmul/cuda.cu",
      "native/ops/nn/matmul/rows.cu",
      "native/ops/nn/matmul/tensor_tiles.cu",
      "native/ops/nn/matmul/tiles.cu",
      "native/ops/nn/norm/cuda.cu",
      "native/ops/optim/cuda.cu"
    ],
    "emulation_sources": [
      "native/cuda/emulation/block.cpp",
      "native/cuda/emulation/fiber.cpp",
      "native/cuda/emulation/runtime.cpp",
      "native/cuda/emulation/stream.cpp"
    ]
  },
  "target_defaults": {
    "include_dirs": ["native"],
    "cflags": ["-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-fno-math-errno", "-fno-trapping-math"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-fexceptions"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_ENABLE_CPP_RTTI": "YES",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CFLAGS": ["-Wall", "-Wextra", "-fno-math-errno", "-fno-trapping-math"]
    },
    # The kernels are written with the vector types of g++ and clang: on Windows clang-cl compiles them.
    "msvs_settings": {
      "VCCLCompilerTool": {
        "ExceptionHandling": 1,
        "RuntimeTypeInfo": "true",
        "AdditionalOptions": ["/std:c++20", "/clang:-O3", "/clang:-fno-math-errno", "/clang:-fno-trapping-math"]
      }
    },
    "configurations": {
      "Release": {
        "cflags": ["-O3", "-fopenmp-simd"],
        "msbuild_toolset": "ClangCL"
      }
    },
    "conditions": [
      ["OS=='win'", { "defines": ["NOMINMAX", "WIN32_LEAN_AND_MEAN", "_USE_MATH_DEFINES", "_CRT_SECURE_NO_WARNINGS"] }],
      ["san!=''", {
        "defines": ["CFGD_SANITIZED"],
        "cflags": ["-fsanitize=<(san)", "-fno-omit-frame-pointer", "-g", "-O1"],
        "ldflags": ["-fsanitize=<(san)"],
        "configurations": { "Release": { "cflags!": ["-O3"] } }
      }]
    ]
  },
  "targets": [
    {
      "target_name": "kernels_baseline",
      "type": "static_library",
      "defines": ["CFGD_ISA=baseline"],
      "sources": ["<@(kernel_sources)"]
    },
    {
      "target_name": "cfgdistill",
      "dependencies": ["kernels_baseline"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "sources": ["<@(core_sources)"],
      "conditions": [
        ["OS=='linux'", { "libraries": ["-ldl", "-lpthread"], "ldflags": ["-Wl,--exclude-libs,ALL"] }],
        ["target_arch=='x64'", { "dependencies": ["kernels_avx2", "kernels_avx512"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "defines": ["CFGD_ISA=avx2"],
          "cflags": ["-march=x86-64-v3", "-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CFLAGS": ["-march=x86-64-v3", "-ffp-contract=fast"] },
          "msvs_settings": {
            "VCCLCompilerTool": { "AdditionalOptions": ["/clang:-march=x86-64-v3", "/clang:-ffp-contract=fast"] }
          },
          "sources": ["<@(kernel_sources)"]
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "defines": ["CFGD_ISA=avx512"],
          "cflags": ["-march=x86-64-v4", "-mprefer-vector-width=512", "-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CFLAGS": ["-march=x86-64-v4", "-mprefer-vector-width=512", "-ffp-contract=fast"] },
          "msvs_settings": {
            "VCCLCompilerTool": {
              "AdditionalOptions": [
                "/clang:-march=x86-64-v4", "/clang:-mprefer-vector-width=512", "/clang:-ffp-contract=fast"
              ]
            }
          },
          "sources": ["<@(kernel_sources)"]
        }
      ]
    }]
  ]
}
