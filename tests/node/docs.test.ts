// README and the guides: their commands and code are run in folders as they describe them. What needs a browser is run by
// tests/browser/docs.test.ts, the blocks of docs/format.md by tests/node/format.test.ts.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { blocksOf, codeOf, commandsOf, documents, guides, textOf } from './documents.js';
import { labels, picturesOf, root, signs } from './signs.js';
import { standInResnet50, standInResnet50v2 } from './zoo-resnet50.js';

const cli = join(root, 'npm/bin/trefoil.js');
/** A folder with ResNet-50 from the model zoo, for who has it. */
const zoo = join(root, '../shared/models/resnet50-v1-12.onnx');
let top: string;

/** What runs each block with a language, in order. A new block fails here until it has its place. */
const runBy: Record<string, string> = {
  'README.md': 'js: here, sh: here, js: browser, sh: here',
  'docs/batch.md': 'sh: here, sh: here, sh: here, sh: here, sh: here',
  'docs/format.md': 'js: format, js: format',
  'docs/page.md': 'sh: browser',
  'docs/resnet50.md': 'sh: here, sh: here, sh: here, sh: here, js: here',
  'docs/web-app.md': 'js: browser, js: browser, js: browser, js: browser, js: browser, js: browser',
  'models/signs/README.md': 'sh: here',
  'npm/README.md': 'js: browser, js: browser, sh: here',
  'tests/bench/peers/README.md': 'sh: here',
};

function newFolder(name: string): string {
  const folder = join(top, name);
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(join(root, 'npm'), join(folder, 'node_modules/trefoil'));
  return folder;
}

/** Two pictures of each class, in folders. */
function photos(folder: string, named: (label: string, index: number) => string): void {
  for (const [index, label] of labels.entries()) {
    const own = join(folder, named(label, index));
    mkdirSync(own, { recursive: true });
    for (const i of [0, 1]) cpSync(picturesOf(label)[i]!, join(own, `${i}.png`));
  }
}

function runCommands(commands: string[], folder: string): string[] {
  return commands.map((command) => {
    expect(command).toMatch(/^npx trefoil /);
    const shell = command.replace(/^npx trefoil/, `"${process.execPath}" "${cli}"`);
    const { status, stdout, stderr } = spawnSync('sh', ['-c', shell], { cwd: folder, encoding: 'utf8' });
    expect([command, status, status === 0 ? '' : stderr]).toEqual([command, 0, '']);
    return stdout;
  });
}

/** Runs a block in Node, behind what it takes for given. */
function runModule(folder: string, given: string, body: string): string {
  writeFileSync(join(folder, 'given.mjs'), given);
  writeFileSync(join(folder, 'block.mjs'), `import './given.mjs';\n${body}`);
  return execFileSync(process.execPath, ['block.mjs'], { cwd: folder, encoding: 'utf8' });
}

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'trefoil-docs-'));
});

afterAll(() => rm(top, { recursive: true, force: true }));

test('every block of code is run by a test', () => {
  const found = Object.fromEntries(
    documents
      .map((file) => [
        file,
        blocksOf(file)
          .map(({ language }) => language)
          .filter(Boolean),
      ])
      .filter(([, languages]) => languages!.length > 0),
  );
  const languages = (line: string) => line.split(', ').map((entry) => entry.replace(/:.*/, ''));
  expect(found).toEqual(
    Object.fromEntries(Object.entries(runBy).map(([file, line]) => [file, languages(line)])),
  );
});

test('batch.md: every command works, in this order', () => {
  const folder = newFolder('batch');
  cpSync(join(signs, 'signs.onnx'), join(folder, 'signs.onnx'));
  cpSync(join(signs, 'labels.txt'), join(folder, 'labels.txt'));
  symlinkSync(join(signs, 'calibration'), join(folder, 'calibration'));
  photos(join(folder, 'photos'), (label) => label);
  const commands = commandsOf(codeOf('docs/batch.md', 'sh'));
  expect(commands.length).toBe(6);
  runCommands(commands, folder);
  const lines = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').length;
  expect(lines('labels.jsonl')).toBe(40);
  expect(lines('part1.csv') + lines('part2.csv')).toBe(42);
}, 240_000);

test("README's first code runs in Node and finds what it says", async () => {
  const folder = newFolder('start');
  cpSync(join(signs, 'signs.onnx'), join(folder, 'signs.onnx'));
  await sharp(picturesOf('stop')[1]!).jpeg({ quality: 95 }).toFile(join(folder, 'photo.jpg'));
  const given = `
    import { readdirSync } from 'node:fs';
    const pictures = ${JSON.stringify(join(signs, 'calibration'))};
    globalThis.images = readdirSync(pictures).slice(0, 16).map((name) => pictures + '/' + name);
    globalThis.labels = ${JSON.stringify(labels)};`;
  const [body] = codeOf('README.md', 'js');
  const said = runModule(folder, given, `${body}\nconsole.log(JSON.stringify(best));`);
  const claimed = /\{ label: '(\w+)', score: [\d.]+, index: (\d+) \}/.exec(body!)!;
  expect(JSON.parse(said)).toMatchObject({ label: claimed[1], index: Number(claimed[2]) });
}, 120_000);

test("the documents' make targets exist", () => {
  const makefile = readFileSync(join(root, 'Makefile'), 'utf8');
  const targets = new Set(
    [...makefile.matchAll(/^([\w -]+):(?!=)/gm)].flatMap(([, names]) => names!.split(' ')),
  );
  for (const file of documents) {
    for (const [, target] of textOf(file).matchAll(/(?:`|^)make ([a-z][\w-]+)/gm)) {
      expect([file, target, targets.has(target!)]).toEqual([file, target, true]);
    }
  }
  // The ones of README's start, all the way but for the work itself.
  for (const command of commandsOf(codeOf('README.md', 'sh').slice(0, 1))) {
    const { status } = spawnSync('sh', ['-c', command.replace(/^make/, 'make -n')], { cwd: root });
    expect([command, status]).toEqual([command, 0]);
  }
  expect(makefile).toMatch(/^test-browser: page /m); // so that `make page` has run before its guide is tested
});

test("README's table is what the demonstration prints", () => {
  const said = execFileSync(process.execPath, [join(root, 'models/demo.mjs')], { encoding: 'utf8' });
  const table = textOf('README.md')
    .slice(textOf('README.md').indexOf('| network | file |'))
    .split('\n\n')[0]!;
  const rows = table
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(1, 6)
        .map((cell) => cell.trim()),
    );
  expect(rows.length).toBe(3);
  for (const [name, ...cells] of rows) {
    const line = said.split('\n').find((text) => text.trim().startsWith(`${name} `))!;
    const printed = line
      .trim()
      .slice(name!.length)
      .trim()
      .split(/\s{2,}/);
    expect([name, ...cells]).toEqual([name, ...printed.slice(0, 4).map((cell) => cell.replace(' %', '%'))]);
  }
}, 240_000);

test("README's and the package's command lines work", async () => {
  const folder = newFolder('commands');
  writeFileSync(join(folder, 'model.onnx'), standInResnet50(8, 20));
  cpSync(join(signs, 'labels.txt'), join(folder, 'labels.txt'));
  photos(join(folder, 'labelled-photos'), (label) => label);
  mkdirSync(join(folder, 'photos'));
  for (const [i, label] of labels.entries()) {
    await sharp(picturesOf(label)[0]!)
      .jpeg()
      .toFile(join(folder, `photos/${i}.jpg`));
  }
  cpSync(join(folder, 'photos/0.jpg'), join(folder, 'photo.jpg'));
  const said = runCommands(commandsOf(codeOf('README.md', 'sh').slice(1)), folder);
  expect(JSON.parse(said[3]!)).toMatchObject({ count: 40 });

  const own = newFolder('package');
  cpSync(join(signs, 'signs.onnx'), join(own, 'signs.onnx'));
  cpSync(join(signs, 'labels.txt'), join(own, 'labels.txt'));
  symlinkSync(join(signs, 'calibration'), join(own, 'pictures'));
  photos(join(own, 'test'), (label) => label);
  runCommands(commandsOf(codeOf('npm/README.md', 'sh')), own);
}, 240_000);

test('resnet50.md: every command works', async () => {
  const folder = newFolder('resnet50');
  const [downloads, ...blocks] = codeOf('docs/resnet50.md', 'sh');
  const files = commandsOf([downloads!]).map((command) => {
    const [, name, address] =
      /^curl -L -o (\S+) https:\/\/(?:raw\.githubusercontent|github)\.com\/(\S+)$/.exec(command)!;
    expect(address).toContain('onnx/models/');
    expect(address!.endsWith(`/${name}`)).toBe(true);
    return name!;
  });
  expect(files).toEqual(['resnet50-v1-12.onnx', 'synset.txt']);
  const real = existsSync(zoo);
  console.log(real ? `with ${zoo}` : `with a stand-in an eighth as wide, as there is no ${zoo}`);
  if (real) symlinkSync(zoo, join(folder, 'resnet50-v1-12.onnx'));
  else writeFileSync(join(folder, 'resnet50-v1-12.onnx'), standInResnet50());
  const names = Array.from({ length: 1000 }, (_, i) => `n${String(i).padStart(8, '0')} class ${i}`);
  writeFileSync(join(folder, 'synset.txt'), `${names.join('\n')}\n`);
  symlinkSync(join(signs, 'calibration'), join(folder, 'calibration'));
  photos(join(folder, 'photos'), (_, index) => String(200 + index));

  const [inspected, quantized, evaluated] = runCommands(commandsOf(blocks), folder);
  expect(inspected).toMatch(/every operator is supported/);
  expect(inspected).toMatch(/1000 classes, input 3 x 224 x 224/);
  if (real) expect(inspected).toMatch(/25\.[56] M weights, 4\.\d+ G multiply-accumulates/);
  expect(quantized).toMatch(/times smaller/);
  expect(evaluated).toMatch(/agree/);
  // The page's other network that it says can be read.
  writeFileSync(join(folder, 'v2.onnx'), standInResnet50v2());
  const [command] = commandsOf(blocks.slice(1));
  const fast = ' --method fgq --calibration-count 8';
  runCommands([command!.replace('resnet50-v1-12', 'v2').replace('resnet50.t', 'v2.t') + fast], folder);

  const [body] = codeOf('docs/resnet50.md', 'js');
  expect(runModule(folder, '', body!)).toMatch(/^n\d+ class \d+\n$/);
}, 900_000);

test('commands for other machines: their programs are here', () => {
  for (const command of commandsOf(codeOf('models/signs/README.md', 'sh'))) {
    if (!command.startsWith('./')) continue;
    expect([command, existsSync(join(signs, command.split(' ')[0]!))]).toEqual([command, true]);
  }
  const [bench] = commandsOf(codeOf('tests/bench/peers/README.md', 'sh'));
  const options = [...bench!.matchAll(/ (--[\w-]+)/g)].map(([, option]) => option);
  expect(options.length).toBeGreaterThan(3);
  for (const option of options) expect(textOf('tests/bench/peers/README.md')).toContain(`\`${option}`);
  const { status } = spawnSync('sh', ['-c', bench!.replace(/^make/, 'make -n')], { cwd: root });
  expect(status).toBe(0);
});

test("the package's list of commands has their options", () => {
  const [list] = blocksOf('npm/README.md').filter(({ language }) => language === '');
  const commands = list!.body.split(/^(?=trefoil )/m);
  expect(commands.length).toBe(8);
  for (const text of commands) {
    const [, command] = /^trefoil (\w+)/.exec(text)!;
    const help = execFileSync(process.execPath, [cli, command!, '--help'], { encoding: 'utf8' });
    for (const [, option] of text.matchAll(/(--[\w-]+)/g)) {
      expect([command, option, help.includes(`${option} `) || help.includes(`${option}\n`)]).toEqual([
        command,
        option,
        true,
      ]);
    }
  }
});

test('troubleshooting.md and the package list every code, and no other', () => {
  const source = readFileSync(join(root, 'npm/src/errors.ts'), 'utf8');
  const codes = [...source.slice(0, source.indexOf(';')).matchAll(/'([A-Z_0-9]+)'/g)].map(
    ([, code]) => code!,
  );
  expect(codes.length).toBeGreaterThan(20);
  for (const file of ['docs/troubleshooting.md', 'npm/README.md']) {
    const listed = textOf(file)
      .split('\n')
      .filter((line) => /^\| `[A-Z]+(_[A-Z]+)*`/.test(line))
      .flatMap((row) => [...row.split('|')[1]!.matchAll(/`([A-Z_0-9]+)`/g)].map(([, code]) => code!));
    expect([file, [...listed].sort()]).toEqual([file, [...codes].sort()]);
  }
});

test('documents name files that exist, and commands that are known', () => {
  const help = execFileSync(process.execPath, [cli, '--help'], { encoding: 'utf8' });
  expect(guides.length).toBeGreaterThan(6);
  for (const file of documents) {
    const text = textOf(file);
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      expect([file, target, existsSync(join(root, file, '..', target!))]).toEqual([file, target, true]);
    }
    for (const [, command] of text.matchAll(/npx trefoil ([a-z]+)/g)) {
      expect([file, command, new RegExp(`^  ${command} `, 'm').test(help)]).toEqual([file, command, true]);
    }
    for (const [, path] of text.matchAll(
      /`(?:node )?((?:tests|src|docs|npm|models|cmake)\/[\w./-]+\.\w+)/g,
    )) {
      const places = [join(root, path!), join(root, file, '..', path!)];
      const known = path!.includes('/my_') || places.some((place) => existsSync(place));
      expect([file, path, known]).toEqual([file, path, true]);
    }
  }
});
