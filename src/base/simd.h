// The wasm_simd128.h intrinsics in every build: the compiler's own header for WebAssembly, SIMDe's portable
// version natively (so that sanitizers and fuzzers reach the kernels that ship).
#pragma once

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#else
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>
#endif
