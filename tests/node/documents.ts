// The documents' blocks of code, for the tests that run them.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './signs.js';

export const guides = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);

export const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'DESIGN.md',
  'models/signs/README.md',
  'npm/README.md',
  'src/onnx/README.md',
  'tests/bench/peers/README.md',
  ...guides,
];

export const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Fenced blocks, in order; those without a language are pictures or lists. */
export function blocksOf(file: string): { language: string; body: string }[] {
  return [...textOf(file).matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```/gm)].map(([, language, body]) => ({
    language: language!,
    body: body!,
  }));
}

export const codeOf = (file: string, language: string): string[] =>
  blocksOf(file)
    .filter((block) => block.language === language)
    .map(({ body }) => body);

/** Commands of shell blocks, without comments, a line each. */
export const commandsOf = (blocks: string[]): string[] =>
  blocks
    .join('\n')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/\s+# .*$/, '').trim())
    .filter((line) => line !== '');
