// The blocks of code that are for a page: they run in one, one after the other, as a reader would put them together. And the
// commands of docs/page.md.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { controls } from '../../web/src/settings.js';
import { codeOf, commandsOf, textOf } from '../node/documents.js';
import { calibration, onnxPath, picturesOf, quantizedSigns, root } from '../node/signs.js';
import { standInResnet50 } from '../node/zoo-resnet50.js';
import { launchChromium, serve } from './serve.js';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
}, 60_000);

afterAll(() => browser?.close());

/** A page on a server that has the package, these files and the blocks; and what the blocks log. */
async function runBlocks(
  blocks: string[],
  files: Record<string, Uint8Array>,
  given: string,
  check: (page: Page, said: () => string) => Promise<void>,
): Promise<void> {
  const modules = blocks.map((body, i) => [
    `/block${i}.js`,
    Buffer.from(
      body
        .replaceAll("from 'trefoil'", "from '/trefoil/index.js'")
        .replaceAll("from 'trefoil/quantize'", "from '/trefoil/quantize.js'"),
    ),
  ]);
  const html =
    '<!doctype html><title>t</title><progress></progress><img src="/stop.png" alt=""><output></output>';
  const server = await serve({
    ...Object.fromEntries(modules),
    '/': Buffer.from(html),
    '/trefoil/': join(root, 'npm/dist') + '/',
    '/stop.png': readFileSync(picturesOf('stop')[1]!),
    '/yield.png': readFileSync(picturesOf('yield')[0]!),
    ...files,
  });
  try {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on('console', (message) => said.push(message.text()));
    await page.goto(`${server.origin}/`);
    await page.evaluate(given);
    for (const [i, body] of blocks.entries()) {
      const failure = await page.evaluate(
        `import('/block${i}.js').then(() => '', (error) => String(error.stack ?? error))`,
      );
      expect([body, failure]).toEqual([body, '']);
    }
    await check(page, () => said.join('\n'));
    await page.close();
  } finally {
    await server.close();
  }
}

test('web-app.md: every block runs and says what the guide says', async () => {
  const blocks = codeOf('docs/web-app.md', 'js');
  const files = {
    '/signs.trefoil': (await quantizedSigns()).model,
    '/signs.onnx': readFileSync(onnxPath),
  };
  await runBlocks(blocks, files, '', async (page, said) => {
    expect(await page.textContent('output')).toMatch(/^stop, \d+%$/);
    expect(await page.$eval('progress', (bar) => bar.value)).toBe(1);
    expect(said()).toMatch(/AbortError[\s\S]*stop[\s\S]*yield[\s\S]*BAD_IMAGE[\s\S]*1\d\.\d times smaller/);
  });
}, 120_000);

test("README's block for a page runs", async () => {
  const blocks = codeOf('README.md', 'js').slice(1);
  expect(blocks.length).toBe(1);
  const given = `globalThis.imageOrCanvasOrVideoOrFile = document.querySelector('img')`;
  const shown = [`${blocks[0]!}\nconsole.log(predictions.length, predictions[0].label);`];
  await runBlocks(shown, { '/model.trefoil': (await quantizedSigns()).model }, given, async (_, said) => {
    expect(said()).toBe('5 stop');
  });
}, 120_000);

test("the package's blocks run", async () => {
  const blocks = codeOf('npm/README.md', 'js');
  expect(blocks.length).toBe(2);
  const files = {
    '/signs.trefoil': (await quantizedSigns()).model,
    // Of two classes, as the block has two labels.
    '/signs.onnx': standInResnet50(8, 2),
    ...Object.fromEntries(calibration(4).map((path, i) => [`/${i}.png`, readFileSync(path)])),
  };
  const given = `
    globalThis.pictures = [0, 1, 2, 3].map((i) => '/' + i + '.png');
    globalThis.phases = [];
    globalThis.bar = { update: (fraction, phase) => phases.push(phase) };`;
  await runBlocks(blocks, files, given, async (page, said) => {
    expect(said()).toMatch(/^stop 0\.\d+/);
    expect(await page.evaluate('new Set(phases).size')).toBeGreaterThan(2);
  });
}, 120_000);

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

test('page.md: its commands build and serve the page, and the page has what it names', async () => {
  const [make, preview] = commandsOf(codeOf('docs/page.md', 'sh'));
  expect(make).toBe('make page'); // which these tests need themselves
  expect(existsSync(join(root, 'web/dist/index.html'))).toBe(true);
  expect(preview).toMatch(/^npx vite /);
  const port = await freePort();
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const options = [
    ...preview!.split(' ').slice(2),
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--strictPort',
  ];
  const child = spawn(process.execPath, [vite, ...options], { cwd: root });
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (text) => String(text).includes(String(port)) && resolve());
      child.on('exit', (code) => reject(new Error(`vite ended with ${code}`)));
    });
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    expect(await page.title()).toContain('Trefoil');

    const text = textOf('docs/page.md');
    const policy = await page.getAttribute('meta[http-equiv=Content-Security-Policy]', 'content');
    expect(policy!.startsWith(/`(default-src [^`]+)`/.exec(text)![1]!)).toBe(true);
    for (const [name, id] of Object.entries(controls)) {
      const [, row] = new RegExp(`\\| \`${name}\` \\| ([^|]+) \\|`).exec(text)!;
      const named = row!.split(',').map((value) => value.replaceAll('`', '').trim());
      const offered = await page.$$eval(`#${id} option`, (all) =>
        all.map((option) => (option as HTMLOptionElement).value),
      );
      expect([name, [...named].sort()]).toEqual([name, [...offered].sort()]);
    }
    for (const [, quoted] of text.matchAll(/"([^"]+)"/g)) {
      expect(await page.locator(`text="${quoted}"`).count()).toBe(1);
    }
    await page.close();
  } finally {
    child.kill();
  }
}, 60_000);
