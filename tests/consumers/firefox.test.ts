// Firefox, driven over WebDriver BiDi: the same logits and the same quantized model, byte for byte, as Node.
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { serve, type Served } from '../browser/serve.js';
import { expectedAnswers, makeProject, makeSite, pack, type Answers } from './project.js';

const firefox = process.env['FIREFOX'] ?? '/usr/bin/firefox-esr';
if (!existsSync(firefox))
  console.warn(`${firefox} is missing (cmake/setup.sh firefox): Firefox is not tested`);

describe.skipIf(!existsSync(firefox))('Firefox', () => {
  let packed: string;
  let project: string;
  let site: string;
  let browser: Browser;
  let expected: Answers;

  beforeAll(async () => {
    packed = await mkdtemp(join(tmpdir(), 'trefoil-packed-'));
    project = await makeProject(pack(packed));
    expected = await expectedAnswers();
    site = makeSite(project, 'firefox');
    cpSync(join(project, 'node_modules/trefoil/dist'), join(site, 'trefoil'), { recursive: true });
    const text = readFileSync(join(project, 'answers.js'), 'utf8')
      .replace("'trefoil'", "'/trefoil/index.js'")
      .replace("'trefoil/quantize'", "'/trefoil/quantize.js'");
    writeFileSync(join(site, 'answers.js'), text);
    cpSync(join(project, 'main.js'), join(site, 'bundle.js'));
    browser = await puppeteer.launch({ browser: 'firefox', executablePath: firefox, headless: true });
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    for (const folder of [packed, project]) await rm(folder, { recursive: true, force: true });
  });

  const policy = {
    'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
  };
  const isolation = {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  };

  test.each([
    ['one thread', policy, { threads: 1, isolated: false }],
    ['threads that share memory', { ...policy, ...isolation }, { threads: 2, isolated: true }],
  ])(
    'gives the bytes of Node, in a worker, under the strict policy, with %s',
    async (_, headers, how) => {
      const server: Served = await serve({ '/': `${site}/` }, headers);
      const page = await browser.newPage();
      try {
        const problems: string[] = [];
        page.on('pageerror', (error) => problems.push(String(error)));
        await page.goto(`${server.origin}/`);
        await page.waitForFunction(() => document.title === 'done', { timeout: 60_000 });
        const answers = JSON.parse(await page.$eval('pre', (pre) => pre.textContent));
        expect(answers).toEqual({ ...expected, worker: true, ...how });
        expect(problems).toEqual([]);
      } finally {
        await page.close();
        await server.close();
      }
    },
    90_000,
  );
});
