# The JavaScript-loadable modules: bindings/<name>.cpp becomes <build>/bindings/trefoil-<name>[-threads][-relaxed].{mjs,wasm}.

add_custom_target(trefoil_modules)
find_program(TREFOIL_TSC tsc PATHS "${PROJECT_SOURCE_DIR}/node_modules/.bin" NO_DEFAULT_PATH)

# Shared memory needs all code compiled for it: <library>_threads is the same library so compiled, linked with the
# same twins of what the library links.
function(trefoil_threads_twin library twin)
  get_target_property(name ${library} NAME)  # an alias's own
  get_target_property(type ${name} TYPE)
  set(${twin} ${name} PARENT_SCOPE)
  if(NOT type STREQUAL "STATIC_LIBRARY")
    return()
  endif()
  set(${twin} ${name}_threads PARENT_SCOPE)
  if(TARGET ${name}_threads)
    return()
  endif()
  get_target_property(sources ${name} SOURCES)
  add_library(${name}_threads STATIC EXCLUDE_FROM_ALL ${sources})
  foreach(property COMPILE_OPTIONS COMPILE_FEATURES INCLUDE_DIRECTORIES INTERFACE_INCLUDE_DIRECTORIES
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES)
    get_target_property(value ${name} ${property})
    if(value)
      set_property(TARGET ${name}_threads PROPERTY ${property} "${value}")
    endif()
  endforeach()
  set_target_properties(${name}_threads PROPERTIES CXX_EXTENSIONS OFF)
  target_include_directories(${name}_threads SYSTEM PRIVATE
    "$<TARGET_PROPERTY:${name},INTERFACE_SYSTEM_INCLUDE_DIRECTORIES>")
  target_compile_options(${name}_threads PUBLIC -sWASM_WORKERS=1)
  get_target_property(dependencies ${name} MANUALLY_ADDED_DEPENDENCIES)
  if(dependencies)
    add_dependencies(${name}_threads ${dependencies})
  endif()
  get_target_property(links ${name} LINK_LIBRARIES)
  foreach(link IN LISTS links)
    if(TARGET "${link}")
      trefoil_threads_twin(${link} link_twin)
      target_link_libraries(${name}_threads PUBLIC ${link_twin})
    endif()
  endforeach()
endfunction()

# trefoil_wasm_module(<name> [EXCEPTIONS] [THREADS] LIBRARY <target> MAXIMUM_MEMORY <size>)
function(trefoil_wasm_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EXCEPTIONS;THREADS" "LIBRARY;MAXIMUM_MEMORY" "")
  set(source "${PROJECT_SOURCE_DIR}/bindings/${name}.cpp")
  if(NOT EXISTS "${source}")
    return()
  endif()
  set(target trefoil_module_${name})
  set(output trefoil-${name})
  set(library ${arg_LIBRARY})
  if(arg_THREADS)
    string(APPEND target _threads)
    string(APPEND output -threads)
    trefoil_threads_twin(${library} library)
  endif()
  add_executable(${target} "${source}")
  target_link_libraries(${target} PRIVATE ${library})
  if(arg_THREADS)
    # Of Emscripten's two ways to threads this one needs no JavaScript of its own: npm/src starts the workers, and
    # makes the memory with a maximum that fits the model.
    target_link_options(${target} PRIVATE -sWASM_WORKERS=1)
  endif()
  if(arg_EXCEPTIONS)
    trefoil_compile_options(${target} EXCEPTIONS)
    target_link_options(${target} PRIVATE -fwasm-exceptions)
  else()
    trefoil_compile_options(${target} SMALL)
    # Binaryen's passes for size; clang has optimized the kernels for speed before.
    target_link_options(${target} PRIVATE -fno-exceptions -Oz)
  endif()
  target_compile_definitions(${target} PRIVATE EMSCRIPTEN_HAS_UNBOUND_TYPE_NAMES=0)  # needed by -fno-rtti
  target_link_options(${target} PRIVATE
    -fno-rtti
    -lembind
    -sMODULARIZE=1
    -sEXPORT_ES6=1
    -sENVIRONMENT=web,worker,node
    -sALLOW_MEMORY_GROWTH=1
    # In small steps: what a model takes is little more than it needs.
    -sINITIAL_MEMORY=4MB
    -sMEMORY_GROWTH_GEOMETRIC_STEP=0.05
    -sMAXIMUM_MEMORY=${arg_MAXIMUM_MEMORY}
    -sSTACK_SIZE=1MB
    -sMALLOC=emmalloc
    -sFILESYSTEM=0
    # A page whose content security policy forbids eval can load the modules.
    -sDYNAMIC_EXECUTION=0)
  if(TREFOIL_TSC AND NOT TREFOIL_RELAXED_SIMD AND NOT arg_THREADS)
    # Typings of exactly what is bound, for the TypeScript sources to be checked against.
    target_link_options(${target} PRIVATE "SHELL:--emit-tsd trefoil-${name}.d.mts")
  endif()
  add_dependencies(trefoil_modules ${target})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME "${output}$<$<BOOL:${TREFOIL_RELAXED_SIMD}>:-relaxed>"
    SUFFIX .mjs
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bindings")
endfunction()

trefoil_wasm_module(runtime LIBRARY trefoil::runtime MAXIMUM_MEMORY 2GB)
trefoil_wasm_module(runtime THREADS LIBRARY trefoil::runtime MAXIMUM_MEMORY 2GB)
trefoil_wasm_module(quantizer EXCEPTIONS LIBRARY trefoil::quantizer MAXIMUM_MEMORY 4GB)
