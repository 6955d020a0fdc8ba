# CMake toolchain file: finds Emscripten, then hands over to the toolchain file that Emscripten ships.
include("${CMAKE_CURRENT_LIST_DIR}/find_emscripten.cmake")
if(NOT TREFOIL_EMSCRIPTEN_ROOT)
  message(FATAL_ERROR
    "No Emscripten ${TREFOIL_EMSCRIPTEN_MINIMUM} or newer on PATH, in EMSDK or in .toolchain/. "
    "`make setup-wasm` installs one.")
endif()

# Node 20's V8 still hides relaxed SIMD behind a flag, which newer ones no longer need.
find_program(TREFOIL_NODE NAMES node nodejs NO_CMAKE_FIND_ROOT_PATH REQUIRED)
execute_process(COMMAND "${TREFOIL_NODE}" --version
  OUTPUT_VARIABLE _node_version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(CMAKE_CROSSCOMPILING_EMULATOR "${TREFOIL_NODE}")
if(_node_version MATCHES "^v(1[0-9]|20)\\.")
  list(APPEND CMAKE_CROSSCOMPILING_EMULATOR --experimental-wasm-relaxed-simd)
endif()

include("${TREFOIL_EMSCRIPTEN_ROOT}/cmake/Modules/Platform/Emscripten.cmake")
