#!/usr/bin/env python3
"""Checks the direction of every #include under src/ and bindings/, and which folder may use which library.

usage: cmake/check_includes.py [--self-test]
Prints one line for each broken rule and exits with 1 if there is any.
"""

import re
import sys
import tempfile
from pathlib import Path

# The folders of src/ that a folder may include directly or through others.
DEPENDS = {
    'base': [],
    'graph': ['base'],
    'onnx': ['graph'],
    'passes': ['graph'],
    'image': ['base'],
    'format': ['base'],
    'kernels': ['base'],
    'runtime': ['format', 'kernels', 'image'],
    'quantize': ['onnx', 'passes', 'format', 'image'],
    'onnx_export': ['format'],
    'train': ['quantize'],
}

# Header prefix -> the places that may include it. A place is a folder or a file.
LIBRARIES = {
    'emscripten': ['bindings'],
    'wasm_simd128.h': ['src/base/simd.h'],
    'simde/': ['src/base/simd.h'],
    'protozero/': ['src/onnx', 'src/onnx_export'],
    'flatbuffers/': ['src/format'],
    'Eigen/': ['src/graph', 'src/passes', 'src/quantize', 'src/train'],
    'doctest/': [],
}

# flatc writes it into the build folder.
GENERATED = {'format/trefoil_generated.h'}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def reachable(folder):
    seen, waiting = set(), [folder]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += DEPENDS[current]
    return seen


def is_at(path, place):
    return path == place or path.startswith(place + '/')


def check_file(root, path):
    """Yields (line, message) for every include of `path`, relative to `root`, that breaks a rule."""
    text = (root / path).read_text(encoding='utf-8')
    parts = Path(path).parts
    # src/trefoil.h, the public header, and bindings/ may use every folder.
    allowed = reachable(parts[1]) if parts[0] == 'src' and len(parts) > 2 else set(DEPENDS)
    for match in INCLUDE.finditer(text):
        line = text.count('\n', 0, match.start(2)) + 1
        quoted, header = match.group(1) == '"', match.group(2)
        for prefix, places in LIBRARIES.items():
            if header.startswith(prefix) and not any(is_at(path, place) for place in places):
                yield line, f'<{header}> belongs in {" or ".join(places) or "tests/"} only'
        if not quoted:
            continue
        if parts[0] == 'bindings' and (root / 'bindings' / header).is_file():
            continue
        if header not in GENERATED and not (root / 'src' / header).is_file():
            yield line, f'"{header}" is no file under src/: write the path from there'
            continue
        folder = header.split('/')[0]
        if '/' in header and folder not in allowed:
            yield line, f'{parts[1]}/ may not include {folder}/'


def check(root):
    problems = []
    for folder in sorted(p for p in (root / 'src').iterdir() if p.is_dir()):
        if folder.name not in DEPENDS:
            problems.append(f'src/{folder.name}: unknown folder; add it to {Path(__file__).name}')
    if problems:
        return problems
    for top in ('src', 'bindings'):
        for file in sorted((root / top).rglob('*')):
            if file.suffix in ('.h', '.cpp', '.inl'):
                path = file.relative_to(root).as_posix()
                problems += [f'{path}:{line}: {message}' for line, message in check_file(root, path)]
    return problems


def self_test():
    """Every rule must catch a file that breaks it, and let a good one pass."""
    cases = [
        ('src/graph/graph.h', '#include "base/result.h"', True),
        ('src/quantize/fgq.cpp', '#include "base/result.h"\n#include "graph/graph.h"\n#include <Eigen/Dense>', True),
        ('src/base/simd.h', '#include <wasm_simd128.h>\n#include <simde/wasm/simd128.h>', True),
        ('src/format/writer.cpp', '#include "format/trefoil_generated.h"', True),
        ('bindings/runtime.cpp', '#include <emscripten/bind.h>\n#include "runtime/session.h"', True),
        ('bindings/runtime.cpp', '#include "runtime.cpp"', True),
        ('src/base/result.h', '#include "graph/graph.h"', False),
        ('src/runtime/session.cpp', '#include "graph/graph.h"', False),
        ('src/kernels/dense/scalar.cpp', '#include "runtime/session.h"', False),
        ('src/runtime/session.cpp', '#include <emscripten.h>', False),
        ('src/kernels/dense/simd128.cpp', '  #  include <wasm_simd128.h>', False),
        ('src/runtime/session.cpp', '#include <Eigen/Core>', False),
        ('src/quantize/fgq.cpp', '#include "missing.h"', False),
        ('src/kernels/dense/scalar.cpp', '#include "scalar.h"', False),
        ('src/novel/a.cpp', '', False),
    ]
    failed = 0
    for path, content, good in cases:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for existing in ('base/result.h', 'graph/graph.h', 'runtime/session.h'):
                (root / 'src' / existing).parent.mkdir(parents=True, exist_ok=True)
                (root / 'src' / existing).touch()
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content + '\n', encoding='utf-8')
            if (not check(root)) != good:
                print(f'self-test: {path} with {content!r} should {"pass" if good else "fail"}')
                failed += 1
    return failed


def main():
    if sys.argv[1:] not in ([], ['--self-test']):
        sys.exit(__doc__)
    if sys.argv[1:]:
        sys.exit(1 if self_test() else 0)
    problems = check(Path(__file__).resolve().parent.parent)
    print(*problems, sep='\n', end='\n' if problems else '')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
