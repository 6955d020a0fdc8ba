// docs/web-app.md: its blocks run in a page, one after the other, as a reader would put them together.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { onnxPath, picturesOf, quantizedSigns, root } from '../node/signs.js';
import { launchChromium, serve, type Served } from './serve.js';

const text = readFileSync(join(root, 'docs/web-app.md'), 'utf8');
const blocks = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, body]) => body!);
let server: Served;
let browser: Browser;

beforeAll(async () => {
  const modules = blocks.map((body, i) => [
    `/block${i}.js`,
    Buffer.from(
      body
        .replaceAll("from 'trefoil'", "from '/trefoil/index.js'")
        .replaceAll("from 'trefoil/quantize'", "from '/trefoil/quantize.js'"),
    ),
  ]);
  const page =
    '<!doctype html><title>t</title><progress></progress><img src="/stop.png" alt=""><output></output>';
  server = await serve({
    ...Object.fromEntries(modules),
    '/': Buffer.from(page),
    '/trefoil/': join(root, 'npm/dist') + '/',
    '/signs.trefoil': (await quantizedSigns()).model,
    '/signs.onnx': readFileSync(onnxPath),
    '/stop.png': readFileSync(picturesOf('stop')[1]!),
    '/yield.png': readFileSync(picturesOf('yield')[0]!),
  });
  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('every block runs and says what the guide says', async () => {
  expect(blocks.length).toBe(6);
  const page = await browser.newPage();
  const said: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  await page.goto(`${server.origin}/`);
  for (const [i, body] of blocks.entries()) {
    const failure = await page.evaluate(
      `import('/block${i}.js').then(() => '', (error) => String(error.stack ?? error))`,
    );
    expect([body, failure]).toEqual([body, '']);
  }
  expect(await page.textContent('output')).toMatch(/^stop, \d+%$/);
  expect(await page.$eval('progress', (bar) => bar.value)).toBe(1);
  expect(said.join('\n')).toMatch(
    /AbortError[\s\S]*stop[\s\S]*yield[\s\S]*BAD_IMAGE[\s\S]*1[34]\.\d times smaller/,
  );
});
