# How Trefoil's own targets are compiled, and the function that makes one library of a folder in src/.
# Everything is set on targets, so that a project which adds Trefoil as a subfolder keeps its own flags.

# trefoil_compile_options(<target> [EXCEPTIONS] [SMALL])
# SMALL: what runs once a model, and is downloaded by every page, is compiled for size in WebAssembly.
function(trefoil_compile_options target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EXCEPTIONS;SMALL" "" "")
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE
    # No a*b+c is fused behind our back: the same float code gives the same bits on every machine.
    -ffp-contract=off
    # Paths of the building machine stay out of what is shipped.
    "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")

  if(EMSCRIPTEN)
    target_compile_options(${target} PRIVATE -msimd128 -fno-rtti $<$<BOOL:${TREFOIL_RELAXED_SIMD}>:-mrelaxed-simd>)
    if(arg_SMALL)
      target_compile_options(${target} PRIVATE -Oz)
    endif()
    if(arg_EXCEPTIONS)
      target_compile_options(${target} PRIVATE -fwasm-exceptions)
    else()
      target_compile_options(${target} PRIVATE -fno-exceptions)
    endif()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    # SIMDe maps a wasm shuffle or saturating narrow to one instruction from here on.
    target_compile_options(${target} PRIVATE -msse4.2)
  endif()

  if(TREFOIL_DEVELOPER)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic
      # GCC 12 sees overlapping copies inside std::string (its bug 105651).
      $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
    # With sanitizers, GCC's flow analysis takes their checks for mistakes; the plain build has the say.
    if(NOT TREFOIL_SANITIZE)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
  if(TREFOIL_SANITIZE)
    target_compile_options(${target} PRIVATE
      "-fsanitize=${TREFOIL_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
    target_link_options(${target} PUBLIC "-fsanitize=${TREFOIL_SANITIZE}")
  endif()
endfunction()

# trefoil_library(<folder> [EXCEPTIONS] [SMALL] [DEPENDS <target>...]): src/<folder> as the target trefoil_<folder>.
# A folder without sources becomes an INTERFACE library, so dependents need not know the difference.
function(trefoil_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EXCEPTIONS;SMALL" "" "DEPENDS")
  set(target trefoil_${folder})
  set(root "${PROJECT_SOURCE_DIR}/src")
  file(GLOB sources CONFIGURE_DEPENDS "${root}/${folder}/*.cpp" "${root}/${folder}/*/*.cpp")
  set(include_root "$<BUILD_INTERFACE:${root}>")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC "${include_root}")
    target_link_libraries(${target} PUBLIC ${arg_DEPENDS})
    set(options "")
    foreach(option EXCEPTIONS SMALL)
      if(arg_${option})
        list(APPEND options ${option})
      endif()
    endforeach()
    trefoil_compile_options(${target} ${options})
    if(EMSCRIPTEN)
      # Kernels without vectors check the others and run where no other fits, but for those that have none.
      file(GLOB oracles "${root}/${folder}/*/scalar.cpp")
      list(FILTER oracles EXCLUDE REGEX "/(lookup|lrn)/")
      set_source_files_properties(${oracles} PROPERTIES COMPILE_OPTIONS -Oz)
      # Vectors and unrolled loops of convolutions are written by hand; the compiler's own only add to the
      # module. What packs weights keeps them.
      file(GLOB by_hand "${root}/${folder}/*conv*/*.cpp")
      list(FILTER by_hand EXCLUDE REGEX "/(scalar|sums_lists|sums_layout)[.]cpp$")
      set_source_files_properties(${by_hand} PROPERTIES COMPILE_OPTIONS
                                  "-fno-unroll-loops;-fno-vectorize;-fno-slp-vectorize")
      # What unpacks millions of codes is not made small.
      file(GLOB unpacking "${root}/${folder}/trits.cpp")
      set_source_files_properties(${unpacking} PROPERTIES COMPILE_OPTIONS -O2)
      # A resize takes microseconds either way.
      file(GLOB resizing "${root}/image/*.cpp")
      set_source_files_properties(${resizing} PROPERTIES COMPILE_OPTIONS -Os)
    endif()
  else()
    add_library(${target} INTERFACE)
    target_compile_features(${target} INTERFACE cxx_std_20)
    target_include_directories(${target} INTERFACE "${include_root}")
    target_link_libraries(${target} INTERFACE ${arg_DEPENDS})
  endif()
  add_library(trefoil::${folder} ALIAS ${target})
endfunction()
