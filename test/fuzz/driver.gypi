# What scripts/fuzz.mjs adds to the addon: the driver and libFuzzer.
{
  "target_defaults": {
    "target_conditions": [
      ["_target_name=='cfgdistill'", {
        "defines": ["CFGD_FUZZER"],
        "sources": ["test/fuzz/driver.cpp"],
        "libraries": ["<(fuzz_library)"]
      }]
    ]
  }
}
