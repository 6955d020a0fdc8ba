# The two JavaScript-loadable modules: bindings/<name>.cpp becomes <build>/bindings/trefoil-<name>[-relaxed].{mjs,wasm}.

add_custom_target(trefoil_modules)
find_program(TREFOIL_TSC tsc PATHS "${PROJECT_SOURCE_DIR}/node_modules/.bin" NO_DEFAULT_PATH)

# trefoil_wasm_module(<name> [EXCEPTIONS] LIBRARY <target> MAXIMUM_MEMORY <size>)
function(trefoil_wasm_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EXCEPTIONS" "LIBRARY;MAXIMUM_MEMORY" "")
  set(source "${PROJECT_SOURCE_DIR}/bindings/${name}.cpp")
  if(NOT EXISTS "${source}")
    return()
  endif()
  set(target trefoil_module_${name})
  add_executable(${target} "${source}")
  target_link_libraries(${target} PRIVATE ${arg_LIBRARY})
  if(arg_EXCEPTIONS)
    trefoil_compile_options(${target} EXCEPTIONS)
    target_link_options(${target} PRIVATE -fwasm-exceptions)
  else()
    trefoil_compile_options(${target} SMALL)
    target_link_options(${target} PRIVATE -fno-exceptions)
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
  if(TREFOIL_TSC AND NOT TREFOIL_RELAXED_SIMD)
    # Typings of exactly what is bound, for the TypeScript sources to be checked against.
    target_link_options(${target} PRIVATE "SHELL:--emit-tsd trefoil-${name}.d.mts")
  endif()
  add_dependencies(trefoil_modules ${target})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME "trefoil-${name}$<$<BOOL:${TREFOIL_RELAXED_SIMD}>:-relaxed>"
    SUFFIX .mjs
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bindings")
endfunction()

trefoil_wasm_module(runtime LIBRARY trefoil::runtime MAXIMUM_MEMORY 2GB)
trefoil_wasm_module(quantizer EXCEPTIONS LIBRARY trefoil::quantizer MAXIMUM_MEMORY 4GB)
